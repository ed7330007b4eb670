"""Starts Beam's workers, processes of this Python, for all executors of this machine; Ctrl-C ends it.

    python deploy/engines/worker_pool.py 50000

Beam's own pool (`apache_beam.runners.worker.worker_pool_main`) is for one executor a machine: each of them numbers its
workers from 1, so that of two the one stops the other's, which then waits for ever. It also listens on every interface.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer, kill_process_gracefully

if TYPE_CHECKING:
    from collections.abc import Sequence


class Pools(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Keeps a pool of Beam's for each executor, told apart by their connections."""

    def __init__(self) -> None:
        self._pools: defaultdict[str, Any] = defaultdict(lambda: BeamFnExternalWorkerPoolServicer(use_process=True))

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's own name
        """Starts a worker for the executor that asks."""
        return self._pools[context.peer()].StartWorker(request, context)

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Stops a worker of the executor that asks."""
        return self._pools[context.peer()].StopWorker(request, context)

    def end(self) -> None:
        """Ends every worker that still runs."""
        for pool in list(self._pools.values()):
            for process in list(pool._worker_processes.values()):
                kill_process_gracefully(process)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves on the port that the arguments name, for this machine alone, until somebody ends it."""
    (port,) = sys.argv[1:] if arguments is None else arguments
    # What Beam starts is called python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keep_alive = [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=keep_alive)
    pools = Pools()
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pools, server)
    server.add_insecure_port(f"localhost:{int(port)}")
    server.start()
    try:
        server.wait_for_termination()
    except KeyboardInterrupt:
        server.stop(0)
        pools.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
