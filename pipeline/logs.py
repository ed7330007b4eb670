"""What the command lets Beam and its libraries say."""

from __future__ import annotations

import logging
import os
import sys
import threading

from pipeline.dataflow import shorten_traceback

# Of what Beam says at INFO when it submits a job to Dataflow; the rest are pages.
OF_USE = ("Created job", "To access", "A template was just created")


def quiet_logs() -> None:
    """Leaves warnings and errors of Beam, without those that say nothing to a user."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logging.getLogger().addFilter(lambda record: "apitools not found" not in record.getMessage())
    if os.environ.get("OBLONG_DEBUG") is None:
        # A worker's error reaches the user as one line; its traceback is for OBLONG_DEBUG=1.
        for name in ("sdk_worker", "data_plane", "worker_handlers"):
            logging.getLogger(f"apache_beam.runners.worker.{name}").setLevel(logging.CRITICAL)
        for name in ("runners.common", "runners.portability", "utils.subprocess_server"):
            logging.getLogger(f"apache_beam.{name}").setLevel(logging.CRITICAL)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # what is tried again is no news yet
        if threading.excepthook is threading.__excepthook__:  # nobody else looks after it
            threading.excepthook = _say_what_threads_raise
    # Schedulers find a job on Dataflow by what Beam says of it, and its states are all the progress there is.
    logging.getLogger("apache_beam.runners.dataflow").setLevel(logging.INFO)
    submitting = logging.getLogger("apache_beam.runners.dataflow.internal.apiclient")
    submitting.addFilter(lambda record: record.levelno > logging.INFO or record.getMessage().startswith(OF_USE))
    if os.environ.get("OBLONG_DEBUG") is None:
        logging.getLogger("apache_beam.runners.dataflow.dataflow_runner").addFilter(shorten_traceback)


def _say_what_threads_raise(failure: threading.ExceptHookArgs) -> None:
    """Leaves out the threads of workers in this process that lose their engine when it is stopped after the job."""
    if type(failure.exc_value).__module__.partition(".")[0] != "grpc":
        threading.__excepthook__(failure)
