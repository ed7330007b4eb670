"""Stand-ins for the clouds' file systems, one process each, started once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from tests.clouds import BUCKET
from tests.clouds.faults import Proxy, proxied
from transforms import files

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

# So that no library looks for credentials or settings elsewhere, on this machine or on any other.
ALONE = {
    "NO_GCE_CHECK": "true",
    "GOOGLE_CLOUD_PROJECT": "made-up",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_ACCESS_KEY_ID": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "3",
}

# A token that is good for ever and that nothing asks for.
CREDENTIALS = {
    "type": "authorized_user",
    "client_id": "made-up",
    "client_secret": "made-up",
    "refresh_token": "made-up",
    "token": "made-up",
    "expiry": "2099-01-01T00:00:00Z",
    "quota_project_id": "made-up",
}


class Cloud(NamedTuple):
    """A file system to test on.

    Attributes:
        scheme: Of its addresses.
        root: An address that nobody else writes below.
        flags: The options of Beam's that it needs.
    """

    scheme: str
    root: str
    flags: list[str]

    def put(self, folder: Path, name: str) -> str:
        """Copies a folder there; returns its address."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                files.write_bytes(f"{self.root}/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.root}/{name}"

    def contents(self, folder: str) -> dict[str, bytes]:
        """Every file below a folder."""
        return {f.path.removeprefix(f"{folder}/"): files.read_bytes(f.path) for f in files.list_folder(folder)}


@contextlib.contextmanager
def served(module: str) -> Iterator[int]:
    """Starts a stand-in; gives its port."""
    command = [sys.executable, "-W", "ignore", "-m", f"tests.clouds.{module}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """All stand-ins, and the environment that leads to them: the flags that each needs, by scheme."""
    pytest.importorskip("google.cloud.storage", reason="needs the extra gcp")
    pytest.importorskip("boto3", reason="needs the extra aws")
    pytest.importorskip("hdfs", reason="needs the extra hdfs")
    credentials = tmp_path_factory.mktemp("credentials") / "made-up.json"
    credentials.write_text(json.dumps(CREDENTIALS))
    with contextlib.ExitStack() as stack:
        gs, s3, hdfs = (stack.enter_context(served(name)) for name in ("gcs_server", "s3_server", "hdfs_server"))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in ALONE.items():
            patch.setenv(name, value)
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{gs}")
        patch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{s3}")
        yield {"gs": [], "s3": [], "hdfs": ["--hdfs_host=localhost", f"--hdfs_port={hdfs}", "--hdfs_user=somebody"]}


@pytest.fixture(params=["gs", "s3", "hdfs"])
def cloud(request: pytest.FixtureRequest, stand_ins: dict[str, list[str]]) -> Iterator[Cloud]:
    """Each of the file systems, empty, and Beam's options set for it."""
    scheme = request.param
    before: Any = FileSystems._pipeline_options
    files.use_options(PipelineOptions(stand_ins[scheme]))
    yield Cloud(scheme, f"{scheme}://{BUCKET}/{uuid.uuid4().hex}", stand_ins[scheme])
    files.use_options(before)


class Faulty(NamedTuple):
    """A file system behind a proxy that does as it is told.

    Attributes:
        cloud: The file system, whose every request goes through the proxy.
        proxy: The proxy.
        patch: Sets the environment for a while.
    """

    cloud: Cloud
    proxy: Proxy
    patch: pytest.MonkeyPatch

    def waits(self, timeout: float, patience: float) -> None:
        """Sets how long clients wait, in seconds, and makes new ones."""
        self.patch.setenv("OBLONG_STORE_TIMEOUT", str(timeout))
        self.patch.setenv("OBLONG_STORE_PATIENCE", str(patience))
        files.use_options(PipelineOptions(self.cloud.flags))


@pytest.fixture(scope="session")
def proxies(stand_ins: dict[str, list[str]]) -> Iterator[dict[str, Proxy]]:
    """A proxy before each stand-in, by scheme."""
    with contextlib.ExitStack() as stack:
        upstream = {
            "gs": os.environ["STORAGE_EMULATOR_HOST"],
            "s3": os.environ["AWS_ENDPOINT_URL"],
            "hdfs": stand_ins["hdfs"][1],
        }
        yield {
            scheme: stack.enter_context(proxied(int(re.split("[:=]", at)[-1]), keeps_halves=scheme == "hdfs"))
            for scheme, at in upstream.items()
        }


@pytest.fixture
def faulty(cloud: Cloud, proxies: dict[str, Proxy], monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """Each of the file systems, empty, behind a proxy, with clients that lose patience within seconds."""
    proxy = proxies[cloud.scheme]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{proxies['gs'].server_port}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{proxies['s3'].server_port}")
    # Clients wait for a moment only before they try again.
    monkeypatch.setattr("transforms.filesystems.patience.FIRST_WAIT", 0.01)
    monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY._initial", 0.01)
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda **_: 0.01)
    flags = [re.sub(r"(?<=port=)\d+", str(proxy.server_port), flag) for flag in cloud.flags]
    made = Faulty(cloud._replace(flags=flags), proxy, monkeypatch)
    made.waits(timeout=5, patience=6)
    return made
