"""docs/dataflow.md from its first block for a cloud to its last, with stand-ins for the cloud."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.protobuf import json_format

from tests.clouds import BUCKET
from tests.dataflow.stand_ins import DONE, emulated_bucket
from tests.dataflow.test_template import PARAMETERS
from tests.dataflow.worlds import ROOT, make_world, service, staged
from tests.markdown import CLOUD, MADE_BEFORE, blocks, make_small_demo

PAGE = ROOT / "docs" / "dataflow.md"

# Notes down what it is asked, looks for the files that it is given, and copies into the emulated bucket.
GCLOUD = """
import json, pathlib, sys
from tests.dataflow.stand_ins import Bucket
asked = sys.argv[1:]
with open("asked.jsonl", "a") as file:
    file.write(json.dumps(asked) + "\\n")
for flag in asked:
    name, _, value = flag.partition("=")
    if name in ("--config", "--metadata-file", "--message-body-from-file") and not pathlib.Path(value).is_file():
        sys.exit(f"there is no file {value}")
if asked[:2] == ["storage", "cp"]:
    for source in map(pathlib.Path, asked[3:-1]):
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            Bucket(ENDPOINT).write(path.relative_to(source.parent).as_posix(), path.read_bytes())
"""


class Walked(NamedTuple):
    """What somebody has who went through the page."""

    folder: Path
    out: str
    jobs: list[dict[str, Any]]
    asked: list[list[str]]


def script():
    """The page's commands, for the made-up project and bucket."""
    text = "".join(block.text for block in blocks(PAGE) if block.language == CLOUD)
    text = text.replace(" ".join(MADE_BEFORE) + "\n", "")
    return text.replace("=my-project\n", "=made-up-project\n").replace("=my-bucket\n", f"={BUCKET}\n")


def program(path, code):
    path.write_text(code)
    path.chmod(0o755)


@pytest.fixture(scope="module")
def walked(world, image, tmp_path_factory):
    """Somebody who goes through the page, whose image is laid out without a container."""
    with emulated_bucket() as bucket:
        yield walk(make_world(tmp_path_factory.mktemp("page"), bucket), image)


def walk(world, image):
    folder, bucket = world.folder, world.bucket
    make_small_demo(folder)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    (folder / "bin").mkdir()
    code = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nENDPOINT = {bucket.endpoint!r}\n"
    program(folder / "bin" / "gcloud", code + GCLOUD)

    def work(job):
        said = image.replay(staged(job, bucket).pipeline, world)
        return DONE if said.out == "DONE\n" else ("JOB_STATE_FAILED", said.err)

    with service(work) as dataflow:
        here = f"--dataflow_endpoint={dataflow.endpoint} --no_auth"
        oblong = [
            "#!/bin/bash",
            f'[[ $1 = run || $1 = doctor ]] && set -- "$@" {here}',
            f'exec {sys.executable} -m pipeline "$@"',
        ]
        program(folder / "bin" / "oblong", "\n".join(oblong))
        environ = {**world.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        command = ["bash", "-euo", "pipefail", "-c", script()]
        ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=240)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        asked = [json.loads(line) for line in (folder / "asked.jsonl").read_text().splitlines()]
        return Walked(folder, ran.stdout, list(dataflow.jobs.values()), asked)


def test_jobs_of_the_page_run(walked):
    said = [
        "Beam 2.77.0 and Python 3.11, as here",
        f"dry run: gs://{BUCKET}/out/runs/first\n",
        f"done: gs://{BUCKET}/out/runs/first\n",
        "rows read again\n",
    ]
    assert [part for part in said if part not in walked.out] == []
    (job,) = walked.jobs
    (pool,) = job["environment"]["workerPools"]
    assert job["environment"]["serviceAccountEmail"] == "oblong-workers@made-up-project.iam.gserviceaccount.com"
    assert (
        pool["workerHarnessContainerImage"]
        == "us-central1-docker.pkg.dev/made-up-project/oblong/oblong_beam_python3.11_sdk:2.77.0"
    )
    assert (pool["machineType"], pool["autoscalingSettings"]["maxNumWorkers"]) == ("n2-standard-4", 10)


def check_parameters(parameters):
    for name, value in parameters.items():
        assert all(re.fullmatch(expression, value) for expression in PARAMETERS[name].get("regexes", [])), name


def check_request(body):
    """Reads a request to launch a template as the service does."""
    types = pytest.importorskip("google.cloud.dataflow_v1beta3")
    found = json_format.ParseDict(body, types.LaunchFlexTemplateRequest.pb(types.LaunchFlexTemplateRequest()))
    check_parameters(found.launch_parameter.parameters)
    return found.launch_parameter


def test_schedule_asks_for_a_launch_that_the_service_takes(walked):
    launch = check_request(json.loads((walked.folder / "nightly.json").read_text()))
    assert launch.container_spec_gcs_path == f"gs://{BUCKET}/templates/oblong.json"
    assert dict(launch.parameters) == {"config": f"gs://{BUCKET}/job.yaml"}
    (build,) = (asked for asked in walked.asked if asked[:3] == ["dataflow", "flex-template", "build"])
    assert build[3] == launch.container_spec_gcs_path


def test_launch_by_hand_gives_parameters_of_the_template(walked):
    (run,) = (asked for asked in walked.asked if asked[:3] == ["dataflow", "flex-template", "run"])
    (given,) = (flag.partition("=")[2] for flag in run if flag.startswith("--parameters="))
    check_parameters(dict(pair.split("=", 1) for pair in given.split(",")))


@contextlib.contextmanager
def listener():
    """A stand-in for all of the cloud's services: it answers nothing, and notes down what it is asked."""
    heard: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with contextlib.suppress(ValueError):
                heard.append((self.path.partition("?")[0], json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PUT = do_PATCH = do_any  # noqa: N815 - what the base class looks for

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://localhost:{server.server_address[1]}/", heard
    finally:
        server.shutdown()
        server.server_close()


SERVICES = (
    "ARTIFACTREGISTRY CLOUDBUILD CLOUDRESOURCEMANAGER CLOUDSCHEDULER DATAFLOW IAM SERVICEUSAGE STORAGE".split()  # noqa: SIM905
)


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_takes_every_command_of_the_page(walked, world):
    with listener() as (endpoint, heard):
        environ = {
            **world.environ,
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": endpoint for name in SERVICES},
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_PROJECT": "made-up-project",
        }
        for asked in [*walked.asked, ["dataflow", "flex-template", "run", "x", "--no-such-flag=1"]]:
            command = ["gcloud", *asked]
            ran = subprocess.run(command, cwd=walked.folder, env=environ, capture_output=True, text=True, timeout=60)
            # 2 is wrong usage; what a service would have answered is not known here.
            assert (ran.returncode == 2) == ("--no-such-flag=1" in asked), f"{' '.join(asked)}\n{ran.stderr}"
    launches = [body for path, body in heard if path.endswith("/flexTemplates:launch")]
    assert [check_request(body).job_name for body in launches] == ["oblong-second"]
    (created,) = (body for path, body in heard if path.endswith("/locations/us-central1/jobs") and "schedule" in body)
    assert created["httpTarget"]["uri"].endswith("/projects/made-up-project/locations/us-central1/flexTemplates:launch")
