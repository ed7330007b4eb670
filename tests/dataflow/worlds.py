"""What tests of Dataflow share: a launcher with stand-ins around it, and machines that start from nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from apache_beam.portability.api import beam_runner_api_pb2

from tests.clouds import BUCKET
from tests.dataflow.stand_ins import CREDENTIALS, DONE, NO_INTERNET, Bucket, Dataflow, End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[2]

LAUNCH_SECONDS = 120  # a launch takes some 5, and 10 more to wait for the end of a job


class Said(NamedTuple):
    """What a launch left: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str


class World(NamedTuple):
    """A launcher's surroundings.

    Attributes:
        folder: For what is on the launcher's disk.
        bucket: The emulated one.
        environ: The launcher's environment.
    """

    folder: Path
    bucket: Bucket
    environ: dict[str, str]

    def launch(self, service: Dataflow | None, *more: str) -> list[str]:
        """The arguments of a launch: what every one needs, and what more a test wants."""
        cloud = ["--project=made-up-project", "--region=us-central1", f"--temp_location=gs://{BUCKET}/tmp"]
        endpoint = service.endpoint if service else "http://localhost:9"
        return ["--runner=DataflowRunner", *cloud, f"--dataflow_endpoint={endpoint}", "--no_auth", *more]

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """Starts a Python with arguments."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # In a session of its own, so that what a test sends to it reaches nothing else.
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=self.folder, env=self.environ, text=True, start_new_session=True, **pipes
        )

    def run(self, *arguments: str) -> Said:
        """Runs `oblong run` in a process of its own."""
        return finished(self.start(["-m", "pipeline", "run", *arguments]))


def finished(process: subprocess.Popen[str]) -> Said:
    """Waits for a launch."""
    try:
        out, err = process.communicate(timeout=LAUNCH_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"does not end\n{out}{err}") from None
    return Said(process.returncode, out, err)


def interrupted(process: subprocess.Popen[str], service: Dataflow) -> Said:
    """Presses Ctrl-C once the launcher has asked for the job's state."""
    deadline = time.monotonic() + LAUNCH_SECONDS
    while not service.polls and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    return finished(process)


def make_world(folder: Path, bucket: Bucket) -> World:
    """Makes surroundings in which nothing real can be reached."""
    credentials = folder / "credentials.json"
    credentials.write_text(json.dumps(CREDENTIALS))
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("GOOGLE_", "CLOUDSDK_", "GCE_", "GCLOUD_", "PYTHON"))
    }
    environ = {
        **kept,
        **NO_INTERNET,
        "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        "NO_GCE_CHECK": "true",
        "STORAGE_EMULATOR_HOST": bucket.endpoint,
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),  # Beam asks gcloud for a region where none is given
        "GOOGLE_CLOUD_PROJECT": "made-up-project",
    }
    return World(folder, bucket, environ)


class Staged(NamedTuple):
    """What a launch staged for the workers.

    Attributes:
        options: As the job's description has them.
        pipeline: The proto's bytes.
        artifacts: What workers install before they start, by name.
    """

    options: dict[str, Any]
    pipeline: bytes
    artifacts: dict[str, bytes]

    @property
    def proto(self) -> Any:
        """The pipeline."""
        return beam_runner_api_pb2.Pipeline.FromString(self.pipeline)


def staged(job: dict[str, Any], bucket: Bucket) -> Staged:
    """Fetches what a job's description points to, as workers do."""
    options = job["environment"]["sdkPipelineOptions"]["options"]
    pipeline = bucket.read(options["pipelineUrl"])
    artifacts = {}
    for environment in beam_runner_api_pb2.Pipeline.FromString(pipeline).components.environments.values():
        for dependency in environment.dependencies:
            url = beam_runner_api_pb2.ArtifactUrlPayload.FromString(dependency.type_payload).url
            role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(dependency.role_payload)
            artifacts[role.staged_name] = bucket.read(url)
    return Staged(options, pipeline, artifacts)


class Machine(NamedTuple):
    """A worker's machine as it comes: Python with Beam and what Oblong depends on, without Oblong.

    Attributes:
        python: Its interpreter.
        folder: For what is installed on it.
    """

    python: Path
    folder: Path

    def run(self, arguments: Sequence[str], environ: dict[str, str]) -> Said:
        """Runs its Python outside the project's folder."""
        command = [str(self.python), *arguments]
        return finished(subprocess.Popen(command, cwd="/", env=environ, text=True, stdout=-1, stderr=-1))

    def install(self, artifacts: dict[str, bytes]) -> Path:
        """Installs the staged package, without its dependencies, and says where to."""
        package = Path(tempfile.mkdtemp(dir=self.folder)) / "workflow.tar.gz"
        package.write_bytes(artifacts["workflow.tar.gz"])
        return self.install_from(package)

    def install_from(self, source: Path) -> Path:
        """Installs a package from its folder or archive, without its dependencies, and says where to."""
        offline = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
        target = Path(tempfile.mkdtemp(dir=self.folder))
        command = [sys.executable, "-m", "pip", "install", *offline, f"--target={target}", str(source)]
        subprocess.run(command, check=True, timeout=LAUNCH_SECONDS, cwd=self.folder)
        return target

    def replay(self, pipeline: bytes, site: Path | None, environ: dict[str, str]) -> Said:
        """Runs a staged pipeline with workers that see what is in `site` and nothing else of ours."""
        staged = Path(tempfile.mkdtemp(dir=self.folder)) / "pipeline.pb"
        staged.write_bytes(pipeline)
        path = f"PYTHONPATH={site} " if site else ""
        worker = f"cd / && {path}exec {self.python} -m apache_beam.runners.worker.sdk_worker_main"
        script = Path(__file__).with_name("replay.py")
        return self.run([str(script), str(staged), worker], environ)


OURS = ("oblong", "__editable__", "pipeline", "transforms", "configs", "benchmarks", "tests")


def make_machine(folder: Path) -> Machine:
    """Makes a machine out of this Python and what is installed for it, all but Oblong."""
    venv.create(folder / "python", with_pip=False, symlinks=True)
    packages = folder / "packages"
    packages.mkdir()
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(place).iterdir():
            if not entry.name.startswith(OURS) and entry.suffix != ".pth":
                (packages / entry.name).symlink_to(entry)
    (site,) = (folder / "python").glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{packages}\n")
    return Machine(folder / "python" / "bin" / "python", folder)


def work_on(machine: Machine, world: World) -> Callable[[dict[str, Any]], End]:
    """Does a job's work as a worker would that has nothing but what was staged for it."""

    def work(job: dict[str, Any]) -> End:
        found = staged(job, world.bucket)
        said = machine.replay(found.pipeline, machine.install(found.artifacts), world.environ)
        return DONE if said.out == "DONE\n" else ("JOB_STATE_FAILED", said.out + said.err)

    return work


def without_workers(job: dict[str, Any]) -> End:
    """Leaves a job running."""
    return None


@contextlib.contextmanager
def service(end: Callable[[dict[str, Any]], End] = without_workers) -> Iterator[Dataflow]:
    """Runs the service."""
    running = Dataflow(end)
    try:
        yield running
    finally:
        running.close()
