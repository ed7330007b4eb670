"""The image and the Flex template: against the service's own protocol, against pip, against the command."""

import importlib.util
import json
import re
import shutil
import subprocess
from importlib import metadata

import pytest
import yaml
from google.protobuf import json_format
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.cli import make_parser
from pipeline.flags import unknown_options
from tests.dataflow.image import copies, instructions
from tests.dataflow.worlds import ROOT

FOLDER = ROOT / "deploy" / "dataflow"
METADATA = json.loads((FOLDER / "metadata.json").read_text())
PARAMETERS = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
CLOUD_BUILD = yaml.safe_load((FOLDER / "cloudbuild.yaml").read_text())


def spec(**changes):
    """A template's spec, as `gcloud dataflow flex-template build` makes it of the metadata."""
    return {
        "image": "r/oblong:1",
        "sdkInfo": {"language": "PYTHON"},
        "defaultEnvironment": {},
        "metadata": METADATA,
    } | changes


def as_the_service_reads_it(spec):
    types = pytest.importorskip("google.cloud.dataflow_v1beta3")
    return json_format.ParseDict(spec, types.ContainerSpec.pb(types.ContainerSpec()))


def test_spec_is_what_the_service_takes():
    found = as_the_service_reads_it(spec())
    assert [parameter.name for parameter in found.metadata.parameters] == list(PARAMETERS)
    assert all(
        parameter.is_optional and parameter.label and parameter.help_text for parameter in found.metadata.parameters
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"imag": "r/oblong:1"},
        {"sdkInfo": {"language": "PHYTON"}},
        {"metadata": METADATA | {"parameters": [{"name": "config", "helptext": "x"}]}},
        {"metadata": METADATA | {"parameters": [{"name": "config", "paramType": "GCS_FILE"}]}},
    ],
)
def test_slip_of_the_pen_in_a_spec_is_noticed(changes):
    with pytest.raises(json_format.ParseError):
        as_the_service_reads_it(spec(**changes))


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_spec_is_what_gcloud_makes_of_the_metadata(world):
    options = ["--image=r/oblong:1", "--sdk-language=PYTHON", f"--metadata-file={FOLDER}/metadata.json", "--print-only"]
    command = [
        "gcloud",
        "dataflow",
        "flex-template",
        "build",
        "gs://b/oblong.json",
        "--project=made-up-project",
        *options,
    ]
    said = subprocess.run(command, env=world.environ, capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(yaml.safe_load(said)) == spec()


def test_every_parameter_is_an_option_that_takes_a_value():
    given = [f"--{name}=1" for name in PARAMETERS]
    args, rest = make_parser().parse_known_args(["run", *given])
    assert unknown_options(rest) == []
    assert {name for name in PARAMETERS if getattr(args, name, None)} == {
        "config",
        "input",
        "tokenizer",
        "output",
        "run_id",
        "set",
    }


def test_parameter_that_is_no_option_would_be_noticed():
    assert unknown_options(make_parser().parse_known_args(["run", "--configuration=1"])[1]) == ["--configuration=1"]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("config", ["gs://b/job.yaml"], ["job.yaml", "/job.yaml", "gs://b"]),
        ("input", ["gs://b/c/*.jsonl.gz", "gs://b/[ab]?/**"], ["s3://b/c", "c.jsonl"]),
        ("tokenizer", ["gs://b/tok", "gs://b/tok/tokenizer.json"], ["bert-base-uncased"]),
        ("output", ["gs://b/data", "gs://b/data/"], ["out"]),
        ("run_id", ["nightly", "2026-01-31.1", "A_b"], ["", "-a", "a/b", ".a"]),
        ("set", ["truncate.max_length=256", "split={train: 1.0}", "bucket.boundaries=[1, 2]"], ["truncate", "=1"]),
        ("number_of_worker_harness_threads", ["1", "12"], ["0", "two", ""]),
    ],
)
def test_parameters_are_checked_when_the_launch_is_asked_for(name, good, bad):
    (expression,) = PARAMETERS[name]["regexes"]
    assert [bool(re.fullmatch(expression, value)) for value in good] == [True] * len(good)
    assert [bool(re.fullmatch(expression, value)) for value in bad] == [False] * len(bad)


def test_every_parameter_with_an_expression_is_tried_above():
    marks = test_parameters_are_checked_when_the_launch_is_asked_for.pytestmark
    assert {case[0] for case in marks[0].args[1]} == {name for name, p in PARAMETERS.items() if "regexes" in p}


def test_image_has_the_beam_that_is_installed_and_that_the_project_takes():
    (sdk, launcher, base) = instructions("FROM")
    version = metadata.version("apache-beam")
    assert sdk == f"apache/beam_python3.11_sdk:{version} AS sdk"
    assert launcher.startswith("gcr.io/dataflow-templates-base/python311-template-launcher-base:")
    assert base == "python:3.11-slim"
    assert f"apache-beam=={version}" in pins_as_written()
    assert Requirement(wanted()["apache-beam"]).specifier.contains(version)


def pins_as_written():
    return [line for line in (FOLDER / "requirements.txt").read_text().splitlines() if not line.startswith("#")]


def pinned():
    """The versions in the image, by name."""
    return {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in pins_as_written()}


def wanted():
    """What the project asks for in the image, by name."""
    taken = [r for r in map(Requirement, metadata.requires("oblong")) if applies(r, "", "fast", "gcp")]
    return {canonicalize_name(requirement.name): f"{requirement.name}{requirement.specifier}" for requirement in taken}


def applies(requirement, *extras):
    """Whether a requirement is one in the image, with some extras."""
    here = {"python_version": "3.11", "python_full_version": "3.11.9"}
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": e, **here}) for e in extras)


def test_pins_are_exact_sorted_and_each_there_once():
    lines = pins_as_written()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[0-9a-z.]+", line)] == []
    names = [line.partition("==")[0] for line in lines]
    assert lines == sorted(lines)
    assert len(set(names)) == len(names)


def test_pins_satisfy_the_project():
    pins = pinned()
    for name, requirement in wanted().items():
        assert Requirement(requirement).specifier.contains(pins[name]), requirement


def test_pins_name_whatever_they_need_themselves():
    pins = pinned()
    extras = {"apache-beam": ("gcp",)}
    looked_at = 0
    for name, version in pins.items():
        try:
            if metadata.version(name) != version:
                continue  # what another version needs says nothing of this one
        except metadata.PackageNotFoundError:
            continue
        looked_at += 1
        for requirement in map(Requirement, metadata.requires(name) or []):
            if applies(requirement, "", *extras.get(name, ())):
                pin = pins.get(canonicalize_name(requirement.name))
                assert pin is not None, f"{name} needs {requirement}"
                assert requirement.specifier.contains(pin, prereleases=True), f"{name} needs {requirement}, not {pin}"
    assert looked_at


def test_build_on_cloud_build_is_what_that_service_takes():
    types = pytest.importorskip("google.cloud.devtools.cloudbuild_v1")
    build = json_format.ParseDict(CLOUD_BUILD, types.Build.pb(types.Build()))
    (step,) = build.steps
    assert list(build.images) == ["$_IMAGE"]
    assert "--build-arg=IMAGE=$_IMAGE" in step.args
    (dockerfile,) = (arg.partition("=")[2] for arg in step.args if arg.startswith("--file="))
    assert (ROOT / dockerfile).read_text() == (FOLDER / "Dockerfile").read_text()


def test_image_holds_every_package_and_nothing_that_is_not_there():
    assert [source for source, _ in copies() if not (ROOT / source).exists()] == []
    packages = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)[1]
    folders = {name.partition(".")[0] for name in re.findall(r'"([\w.]+)"', packages)}
    assert folders <= {source for source, _ in copies()}


def test_image_starts_workers_and_launches_by_the_entry_file():
    assert instructions("ENTRYPOINT") == ['["/opt/apache/beam/boot"]']
    environ = dict(line.split("=", 1) for line in instructions("ENV"))
    assert environ == {"FLEX_TEMPLATE_PYTHON_PY_FILE": "/template/main.py", "OBLONG_IMAGE": "$IMAGE"}
    assert instructions("WORKDIR") == ["/template"]
    assert ("deploy/dataflow/main.py", "./") in copies()
    assert any("pip check" in line for line in instructions("RUN"))


def entry():
    """The entry file as a module."""
    found = importlib.util.spec_from_file_location("flex_main", FOLDER / "main.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_launch_takes_its_own_image_for_the_workers_unless_it_names_another():
    command = entry().command
    image = {"OBLONG_IMAGE": "r/i:1"}
    assert command(["--config=gs://b/c.yaml"], image) == [
        "run",
        "--sdk_container_image=r/i:1",
        "--config=gs://b/c.yaml",
    ]
    other = command(["--sdk_container_image=r/i:2"], image)
    assert other == ["run", "--sdk_container_image=r/i:1", "--sdk_container_image=r/i:2"]
    assert command(["--input=gs://b/*"], {}) == ["run", "--input=gs://b/*"]


def test_launch_leaves_out_what_the_launcher_adds_and_beam_does_not_know(capsys):
    given = ["--run_id=a", "--num_workers=2", "--of_the_launcher=1", "--labels=a=b"]
    assert entry().command(given, {}) == ["run", "--run_id=a", "--num_workers=2", "--labels=a=b"]
    assert "--of_the_launcher=1" in capsys.readouterr().err


def test_wrong_value_in_a_launch_is_for_the_command_to_tell():
    assert entry().command(["--num_workers=two", "--of_the_launcher=1"], {}) == [
        "run",
        "--num_workers=two",
        "--of_the_launcher=1",
    ]
