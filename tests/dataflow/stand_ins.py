"""What stands in for a cloud: a bucket in an emulator, and the part of Dataflow's service that Beam talks to."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.clouds import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]

# Whatever is not on this machine is out of reach, should anything try.
NO_INTERNET = {
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://localhost:9"),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1,::1"),
}

CREDENTIALS = {
    "type": "authorized_user",
    "client_id": "x",
    "client_secret": "x",
    "refresh_token": "x",
    "token": "t",
    "expiry": "2099-01-01T00:00:00Z",
    "quota_project_id": "made-up-project",
}


class Bucket(NamedTuple):
    """A bucket in an emulator of Cloud Storage.

    Attributes:
        endpoint: The emulator's address.
    """

    endpoint: str

    def names(self, prefix: str = "") -> list[str]:
        """The names of its objects."""
        query = urllib.parse.urlencode({"prefix": prefix, "maxResults": 10000})
        found = json.loads(_get(f"{self.endpoint}/storage/v1/b/{BUCKET}/o?{query}"))
        return sorted(item["name"] for item in found.get("items", []))

    def read(self, name: str) -> bytes:
        """An object's content; its name may begin with gs:// and the bucket."""
        name = urllib.parse.quote(name.removeprefix(f"gs://{BUCKET}/"), safe="")
        return _get(f"{self.endpoint}/download/storage/v1/b/{BUCKET}/o/{name}?alt=media")

    def write(self, name: str, content: bytes) -> str:
        """Writes an object and gives its address."""
        query = urllib.parse.urlencode({"uploadType": "media", "name": name})
        url = f"{self.endpoint}/upload/storage/v1/b/{BUCKET}/o?{query}"
        kind = {"Content-Type": "application/octet-stream"}
        with urllib.request.urlopen(urllib.request.Request(url, content, kind, method="POST"), timeout=10):
            return f"gs://{BUCKET}/{name}"


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
        return content


@contextlib.contextmanager
def emulated_bucket() -> Iterator[Bucket]:
    """Runs an emulator with one empty bucket."""
    command = [sys.executable, "-m", "tests.clouds.gcs_server"]
    emulator = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert emulator.stdout is not None
    with emulator.stdout:
        try:
            yield Bucket(f"http://localhost:{int(emulator.stdout.readline())}")
        finally:
            emulator.kill()
            emulator.wait(10)


# How a job ends: a state, and the error that its messages tell; None while it goes on.
End = tuple[str, str] | None

DONE = ("JOB_STATE_DONE", "")
TERMINAL = ("JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


class Dataflow:
    """The part of Dataflow's service that Beam's client uses.

    Attributes:
        endpoint: Its address, for --dataflow_endpoint.
        jobs: What was asked for, by id, as JSON, with id and state.
        polls: How often a job was asked for.
    """

    def __init__(self, end: Callable[[dict[str, Any]], End] = lambda job: DONE) -> None:
        """Starts to listen.

        Args:
            end: Does a job's work, and says how the job ends.
        """
        self.jobs: dict[str, dict[str, Any]] = {}
        self.polls = 0
        self._end = end
        self._errors: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("localhost", 0), self._handler())
        self._server.daemon_threads = True
        # The client takes the way over HTTP only where the host is spelled like this.
        self.endpoint = f"http://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def job(self) -> dict[str, Any]:
        """The one job."""
        (job,) = self.jobs.values()
        return job

    def answer(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Answers one request; None for one that it does not know."""
        match = re.fullmatch(r"/v1b3/projects/made-up-project/locations/us-central1/jobs(?:/([^/]+)(/\w+)?)?", path)
        if match is None:
            return None
        job_id, part = match.groups()
        if method == "POST" and job_id is None:
            return self._create(body)
        if job_id not in self.jobs:
            return None
        if method == "PUT":
            self.jobs[job_id]["currentState"] = "JOB_STATE_CANCELLED"
        if part == "/messages":
            return {"jobMessages": [self._message(job_id)] if job_id in self._errors else []}
        if part == "/metrics":
            return {"metrics": []}
        self.polls += method == "GET"
        return self.jobs[job_id]

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        _check_job(body)
        for job in self.jobs.values():  # of two active jobs with one name, the second is not made
            if job["name"] == body["name"] and job["currentState"] not in TERMINAL:
                return job
        job_id = f"2030-01-01_00_00_00-{len(self.jobs) + 1}"
        self.jobs[job_id] = {**body, "id": job_id, "currentState": "JOB_STATE_RUNNING"}
        answer = dict(self.jobs[job_id])  # as it is before it can have come to its end
        threading.Thread(target=self._work, args=(job_id,), daemon=True).start()
        return answer

    def _work(self, job_id: str) -> None:
        end = self._end(self.jobs[job_id])
        if end is not None:
            state, error = end
            if error:
                self._errors[job_id] = error
            self.jobs[job_id]["currentState"] = state

    def _message(self, job_id: str) -> dict[str, str]:
        kind = {"id": "m1", "time": "2030-01-01T00:00:00Z", "messageImportance": "JOB_MESSAGE_ERROR"}
        return {**kind, "messageText": self._errors[job_id]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                answer = service.answer(self.command, self.path.partition("?")[0], body)
                content = json.dumps({} if answer is None else answer).encode()
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_any  # noqa: N815 - what the base class looks for

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


def _check_job(body: dict[str, Any]) -> None:
    """Reads a job as the service's own protocol has it, which refuses what it does not know."""
    from google.cloud.dataflow_v1beta3 import Job
    from google.protobuf import json_format

    json_format.ParseDict(body, Job.pb(Job()))
