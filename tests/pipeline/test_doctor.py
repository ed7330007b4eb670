import socket
from importlib import metadata

import pytest

from pipeline import doctor
from pipeline.config import load_config
from pipeline.doctor import examine
from pipeline.job import prepare
from pipeline.options import check_options
from pipeline.reach import Untold, check_image
from tests.runs import contents, oblong, some_rows, write_jsonl
from transforms.arrays.errors import ConfigError

DATAFLOW = ("--runner=DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://bucket/tmp")


@pytest.fixture
def short(tmp_path, tokenizer):
    """The short options of a job that could start."""
    source = write_jsonl(tmp_path / "in" / "a.jsonl", some_rows(5))
    return [f"--input={source}", f"--tokenizer={tokenizer}", f"--output={tmp_path}/out"]


def by_name(found):
    return {finding.what: finding for finding in found}


@pytest.fixture
def examined(tmp_path, tokenizer):
    """Examines a small job with some things changed."""
    source = write_jsonl(tmp_path / "in" / "a.jsonl", some_rows(5))
    settings = {"read.files": source, "tokenize.tokenizer": tokenizer, "write.path": tmp_path / "out"}

    def start(*flags, **changes):
        changed = settings | {key.replace("__", "."): value for key, value in changes.items()}
        return by_name(examine(None, [f"{key}={value}" for key, value in changed.items()], flags))

    return start


def test_job_that_can_start_gives_0_and_leaves_nothing(short, tmp_path):
    before = contents(tmp_path)
    said = oblong("doctor", *short)
    assert said.code == 0, said.out
    assert said.out.splitlines()[-1] == "the job can start"
    assert "1 file, " in said.out
    assert contents(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_every_line_is_named_and_good(examined):
    found = examined()
    names = ["packages", "file systems", "configuration", "runner", "tokenizer", "inputs", "job", "output", "room"]
    assert list(found) == [*names, "engine"]
    assert all(finding.ok for finding in found.values())
    assert f"apache-beam {metadata.version('apache-beam')}" in found["packages"].detail
    assert "pad id 0, engine" in found["tokenizer"].detail


def test_everything_that_is_wrong_is_told_at_once_and_gives_2(short):
    said = oblong("doctor", short[2], "--input=nothing-*.jsonl", "--tokenizer=nowhere")
    assert said.code == 2
    assert "tokenize.tokenizer: there is no file or folder nowhere" in said.out
    assert "'nothing-*.jsonl' matches no file" in said.out
    assert said.out.splitlines()[-1] == "2 things to be mended before the job can start"


def test_findings_can_be_had_as_json(short):
    found = oblong("doctor", *short, "--runner=PortableRunner", "--json").json
    assert found["ok"] is False
    (runner,) = [one for one in found["findings"] if one["what"] == "runner"]
    assert (runner["ok"], runner["detail"].split(":")[0]) == (False, "--job_endpoint")
    assert [one["ok"] for one in found["findings"] if one["what"] == "engine"] == [None]


def test_configuration_that_cannot_be_read_keeps_the_rest_from_being_looked_at(examined):
    found = examined(truncate__max_lenght=9)
    assert found["configuration"].detail.startswith("truncate.max_lenght: there is no such key")
    assert {finding.ok for name, finding in found.items() if name not in ("packages", "file systems")} == {False, None}


def test_output_that_cannot_be_written_is_found(examined):
    found = examined(write__path="/proc/out")["output"]
    assert not found.ok
    assert found.detail.startswith("write.path: /proc cannot be written to")


def test_sections_that_contradict_each_other_are_found(examined):
    found = examined(truncate__max_length=1)["job"]
    assert not found.ok
    assert found.detail.startswith("truncate.max_length: ")


def test_old_package_is_named_with_what_is_needed(monkeypatch):
    real = metadata.version
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "0.20.0" if name == "tokenizers" else real(name))
    with pytest.raises(ConfigError, match=r"tokenizers is 0.20.0, .*>=0.21.* is needed"):
        doctor.check_packages()


def test_job_server_is_asked(examined):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
        found = examined("--runner=FlinkRunner", f"--job_endpoint={address}")["engine"]
        assert found == ("engine", True, f"job server at {address}")
    found = examined("--runner=SparkRunner", f"--job_endpoint={address}")["engine"]
    assert not found.ok
    assert found.detail.startswith(f"--job_endpoint: nothing answers at {address}")


def test_workers_outside_are_asked(examined):
    flags = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL"]
    assert examined(*flags)["engine"].detail == "--environment_config: '' is no HOST:PORT"
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
        assert examined(*flags, f"--environment_config={address}")["engine"].detail == f"workers at {address}"


def test_prism_must_be_where_it_is_said_to_be(examined, tmp_path):
    found = examined("--runner=PrismRunner", f"--prism_location={tmp_path}/prism")["engine"]
    assert (found.ok, found.detail) == (False, f"--prism_location: there is no file {tmp_path}/prism")
    (tmp_path / "prism").write_text("text")
    found = examined("--runner=PrismRunner", f"--prism_location={tmp_path}/prism")["engine"]
    assert (found.ok, found.detail.split(";")[0]) == (False, f"--prism_location: {tmp_path}/prism is no program")
    (tmp_path / "prism").write_text("#!/bin/sh")
    assert examined("--runner=PrismRunner", f"--prism_location={tmp_path}/prism")["engine"].ok


def test_cluster_behind_a_job_server_of_our_own_is_asked(examined):
    found = examined("--runner=SparkRunner", "--spark_master_url=spark://127.0.0.1:9")["engine"]
    assert not found.ok
    assert found.detail.startswith(("--spark_master_url: nothing answers at 127.0.0.1:9", "java: "))


def test_local_places_are_out_of_reach_of_dataflow(sections):
    checked = check_options({}, DATAFLOW)
    with pytest.raises(ConfigError, match=r"write.path: .*/out is on this machine's disk, which Dataflow's workers"):
        doctor.check_reach_of_workers(checked, prepare(load_config(sections)))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("apache/beam_python{python}_sdk:{beam}", None),
        ("gcr.io/x/beam_python{python}_sdk:{beam}", None),
        ("apache/beam_python{python}_sdk:2.1.0", "has Beam 2.1.0, the launcher {beam}; they must agree"),
        ("apache/beam_python2.7_sdk:{beam}", "has Python 2.7, the launcher {python}; they must agree"),
        ("apache/beam_python{python}_sdk", "--sdk_container_image: .* has no tag, which must be the launcher's Beam"),
    ],
)
def test_image_of_workers_must_have_the_launchers_beam_and_python(image, said):
    import platform

    here = {"beam": metadata.version("apache-beam"), "python": ".".join(platform.python_version_tuple()[:2])}
    checked = check_options({}, [*DATAFLOW, f"--sdk_container_image={image.format(**here)}"])
    if said is None:
        assert check_image(checked).endswith("as here")
    else:
        with pytest.raises(ConfigError, match=said.format(**here)):
            check_image(checked)


def test_image_whose_name_tells_nothing_is_said_to():
    checked = check_options({}, [*DATAFLOW, "--sdk_container_image=example/own:1"])
    assert check_image(checked).startswith("example/own:1: cannot be told; its name does not say its Beam")
    assert isinstance(check_image(checked), Untold)


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ("--environment_config=beam_python2.7_sdk", "--environment_config"),
        ("--environment_options=docker_container_image=beam_python2.7_sdk", "--environment_options"),
    ],
)
def test_image_is_told_of_by_the_option_that_named_it(given, option):
    checked = check_options({}, ["--runner=PrismRunner", "--environment_type=DOCKER", given])
    with pytest.raises(ConfigError, match=f"^{option}: beam_python2.7_sdk has Python 2.7"):
        check_image(checked)


@pytest.mark.parametrize("flags", [["--runner=FlinkRunner", "--flink_master=localhost"],
                                   ["--runner=SparkRunner", "--spark_master_url=yarn"]])  # fmt: skip
def test_cluster_without_an_address_is_not_looked_at(examined, flags, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    found = examined(*flags)["engine"]
    assert found.ok is None
    assert found.detail.startswith("not looked at: --")


def test_mistake_is_counted_once(short):
    said = oblong("doctor", *short, "--nope=1")
    assert said.code == 2
    assert said.out.splitlines()[-1] == "1 thing to be mended before the job can start"


@pytest.mark.parametrize("command", ["doctor", "run"])
def test_tokenizer_that_is_a_folder_is_told_in_a_line(short, tmp_path, command):
    (tmp_path / "odd" / "tokenizer.json").mkdir(parents=True)
    said = oblong(command, short[0], short[2], f"--tokenizer={tmp_path}/odd")
    assert said.code == 2
    assert "Traceback" not in said.out + said.err
    told = " ".join((said.out + said.err).split())  # a table breaks lines
    assert "tokenizer.json is a folder, a pipe or a device, and has to be a file" in told


def test_disk_without_hard_links_is_found(examined, monkeypatch, tmp_path):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    before = contents(tmp_path)
    monkeypatch.setattr("os.link", refuse)
    found = examined()["output"]
    assert not found.ok
    assert "takes no hard link (Operation not permitted)" in found.detail
    assert contents(tmp_path) == before
