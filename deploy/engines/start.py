"""Starts an engine on this machine and says what flags a job needs; Ctrl-C ends it.

    python deploy/engines/start.py flink

`make engines` fetches what is started here. Prism and the job servers listen on every interface and cannot be told
otherwise: keep them behind a firewall.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from processes import Server, StartError, free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOME = Path(__file__).resolve().parents[2] / ".engines"
POOL_PORT = 50000  # where each machine of a cluster is taken to have its pool of Beam's workers

# What Spark and Flink reach into; Java 17 and later open nothing unasked.
OPENED = (
    "io",
    "lang",
    "lang.invoke",
    "lang.reflect",
    "net",
    "nio",
    "util",
    "util.concurrent",
    "util.concurrent.atomic",
)
OPENS = (
    *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED),
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
)
TIMED = ("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")


class Asked(NamedTuple):
    """What the user wants.

    Attributes:
        home: The folder that `make engines` filled.
        work: A folder for what the engine keeps while it runs.
        port: Where jobs are to be sent.
        workers: How many there are.
        memory: Of each Java process that does work, as Java writes it: 1g.
        partitions: Into how many Spark divides what it reads and groups.
        master: The address of a cluster to send jobs on to; None to run them here.
    """

    home: Path
    work: Path
    port: int
    workers: int
    memory: str
    partitions: int
    master: str | None = None


class Engine(NamedTuple):
    """An engine, ready to be started.

    Attributes:
        servers: The others need the first, so that it is ready before they start.
        flags: What `oblong run` needs to send it a job.
    """

    servers: tuple[Server, ...]
    flags: tuple[str, ...]


def java(asked: Asked, engine: str, main: str, *arguments: str, options: Sequence[str] = ()) -> tuple[str, ...]:
    """The command that runs a class of an engine's jars."""
    jars = asked.home / engine
    if not (asked.home / f".{engine}").exists():
        raise StartError(f"{jars} is not there or not whole; `make engines` fetches it, with Java and Maven")
    options = (*OPENS, *TIMED, f"-Djava.io.tmpdir={asked.work}", *options)
    return ("java", "-XX:+ExitOnOutOfMemoryError", *options, "-cp", f"{jars}/*", main, *arguments)


def job_server(asked: Asked, engine: str, main: str, *arguments: str, options: Sequence[str] = ()) -> Server:
    """Beam's job server for an engine."""
    ports = ("--job-host=localhost", f"--job-port={asked.port}", "--artifact-port=0", "--expansion-port=0")
    staged = f"--artifacts-dir={asked.work}/artifacts"
    command = java(asked, engine, main, *ports, staged, *arguments, options=options)
    return Server(f"{engine}-job-server", command, asked.port)


def portable(asked: Asked) -> Engine:
    """Beam's own server in plain Python: for trying out, not for large jobs."""
    module = "apache_beam.runners.portability.local_job_service_main"
    command = (sys.executable, "-m", module, f"--port={asked.port}", f"--staging_dir={asked.work}/artifacts")
    flags = ("--runner=PortableRunner", f"--job_endpoint=localhost:{asked.port}")
    return Engine((Server("portable", command, asked.port),), flags)


def prism(asked: Asked) -> Engine:
    """Prism, Beam's local runner in Go."""
    binary = asked.home / "prism"
    if not binary.exists():
        raise StartError(f"{binary} is not there; `make engines` fetches it, with Go")
    command = (str(binary), f"-job_port={asked.port}", "-serve_http=false")
    flags = ("--runner=PrismRunner", f"--job_endpoint=localhost:{asked.port}")
    return Engine((Server("prism", command, asked.port),), flags)


def flink(asked: Asked) -> Engine:
    """Flink inside of its job server, or a cluster's job server."""
    main, memory = "org.apache.beam.runners.flink.FlinkJobServerDriver", (f"-Xmx{asked.memory}",)
    server = job_server(asked, "flink", main, f"--flink-master={asked.master or '[local]'}", options=memory)
    flags = ("--runner=FlinkRunner", f"--job_endpoint=localhost:{asked.port}", f"--parallelism={asked.workers}")
    return Engine((server,), (*flags, *_outside(asked)))


SPARK_SERVER = "org.apache.beam.runners.spark.SparkJobServerDriver"


def spark(asked: Asked) -> Engine:
    """Spark inside of its job server, or a cluster's job server."""
    master, options = asked.master or f"local[{asked.workers}]", (*_spark_options(asked), f"-Xmx{asked.memory}")
    server = job_server(asked, "spark", SPARK_SERVER, f"--spark-master-url={master}", options=options)
    environment = () if asked.master else LOOPBACK_ONLY
    return Engine((server._replace(environment=environment),), (*_spark_flags(asked), *_outside(asked)))


def spark_cluster(asked: Asked) -> Engine:
    """Spark's master, its workers, the job server and Beam's worker pool, as processes of their own."""
    # Without the file RELEASE Spark takes its home for a folder of sources, and its executors die.
    spark_home = asked.work / "spark"
    spark_home.mkdir()
    (spark_home / "RELEASE").touch()
    (spark_home / "jars").symlink_to(asked.home / "spark")
    # Executors have their options from here.
    inherited = (
        ("SPARK_HOME", str(spark_home)),
        ("SPARK_SCALA_VERSION", "2.12"),
        ("JAVA_TOOL_OPTIONS", " ".join((*OPENS, *TIMED))),
    )
    environment = (*LOOPBACK_ONLY, *inherited)
    port, pool = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"

    def part(name: str, main: str, at: int, *arguments: str) -> Server:
        here = ("--host", "127.0.0.1", "--port", str(at), "--webui-port", "0")
        return Server(name, java(asked, "spark", main, *here, *arguments), at, environment)

    def worker(number: int) -> Server:
        # Two cores' worth of tasks, or more memory, would take a second executor.
        share = ("-c", "1", "-m", asked.memory, "-d", str(asked.work / f"worker-{number}"), url)
        return part(f"spark-worker-{number}", "org.apache.spark.deploy.worker.Worker", free_port(), *share)

    options = (*_spark_options(asked), f"-Dspark.executor.memory={asked.memory}", "-Dspark.executor.cores=1")
    server = job_server(asked, "spark", SPARK_SERVER, f"--spark-master-url={url}", options=options)
    servers = (
        part("spark-master", "org.apache.spark.deploy.master.Master", port),
        *(worker(number) for number in range(1, asked.workers + 1)),
        worker_pool(pool),
        server._replace(environment=environment),
    )
    return Engine(
        servers, (*_spark_flags(asked), "--environment_type=EXTERNAL", f"--environment_config=localhost:{pool}")
    )


def worker_pool(port: int) -> Server:
    """Starts Beam's workers for engines that ask it to."""
    script = Path(__file__).with_name("worker_pool.py")
    return Server("worker-pool", (sys.executable, str(script), str(port)), port)


LOOPBACK_ONLY = (("SPARK_LOCAL_IP", "127.0.0.1"),)


def _outside(asked: Asked, pool: int | None = None) -> tuple[str, ...]:
    """What a job needs whose workers are not in the launcher: a pool on each machine that runs it."""
    if pool is None and asked.master is None:
        return ()
    return ("--environment_type=EXTERNAL", f"--environment_config=localhost:{pool or POOL_PORT}")


def _spark_options(asked: Asked) -> tuple[str, ...]:
    return ("-Dspark.ui.enabled=false", f"-Dspark.default.parallelism={asked.partitions}")


def _spark_flags(asked: Asked) -> tuple[str, ...]:
    return ("--runner=SparkRunner", f"--job_endpoint=localhost:{asked.port}")


ENGINES: dict[str, Callable[[Asked], Engine]] = {
    "portable": portable,
    "prism": prism,
    "flink": flink,
    "spark": spark,
    "spark-cluster": spark_cluster,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Starts the engine that the arguments name, until it ends or somebody ends it.

    Args:
        arguments: Of the command line.

    Returns:
        0 where it was ended, 1 where it failed.
    """
    parser = argparse.ArgumentParser(prog="start.py", description="Starts an engine on this machine; Ctrl-C ends it.")
    parser.add_argument("engine", choices=ENGINES, help="; ".join(f"{n}: {f.__doc__}" for n, f in ENGINES.items()))
    parser.add_argument("--port", type=int, default=8099, help="where jobs are sent; 0: any that is free (8099)")
    parser.add_argument("--workers", type=int, default=2, help="how many tasks run at a time (2)")
    parser.add_argument(
        "--partitions",
        type=int,
        default=0,
        help="into how many Spark divides the work: more need less memory (workers)",
    )
    parser.add_argument("--memory", default="1g", help="heap of each Java process that does work (1g)")
    parser.add_argument("--master", help="of a cluster of yours: spark://HOST:7077, HOST:8081 (none: run jobs here)")
    parser.add_argument("--home", type=Path, default=HOME, help="the folder that `make engines` filled")
    parser.add_argument("--logs", type=Path, help="the folder for logs (logs/ in the home)")
    asked = parser.parse_args(arguments)
    if asked.master and asked.engine not in ("flink", "spark"):
        parser.error(f"--master: {asked.engine} sends jobs to no cluster; flink and spark do")
    # As Ctrl-C: whoever ends this process wants the others to end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="oblong-engine-", ignore_cleanup_errors=True) as work:
        try:
            port = asked.port or free_port()
            partitions = asked.partitions or asked.workers
            wanted = Asked(asked.home, Path(work), port, asked.workers, asked.memory, partitions, asked.master)
            engine = ENGINES[asked.engine](wanted)
            with running(engine.servers, asked.logs or asked.home / "logs") as processes:
                print(f"{asked.engine} is ready, Ctrl-C ends it: oblong run {' '.join(engine.flags)}", flush=True)
                while True:
                    for one in processes:
                        one.check()
                    time.sleep(0.5)
        except StartError as error:
            print(f"start.py: {error}".rstrip(), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
