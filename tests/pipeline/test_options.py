import pytest
from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, StandardOptions

from pipeline.options import check_options
from pipeline.runners import REFUSED, RUNNERS
from pipeline.workers import cores_here
from tests.markdown import ROOT
from transforms.arrays.errors import ConfigError


def refusal(section, *flags):
    with pytest.raises(ConfigError) as error:
        check_options(section, flags)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_direct_runner_is_the_default_and_downloads_nothing():
    checked = check_options({})
    assert checked.name == checked.options.view_as(StandardOptions).runner == "DirectRunner"
    assert checked.options.get_all_options()["prism_location"] == "disabled"
    assert (checked.shared_disk, checked.waits, checked.given) == (True, True, frozenset())


def test_defaults_give_way_to_the_user():
    assert options_of({"prism_location": "/x"})["prism_location"] == "/x"
    assert options_of({}, "--prism_location=/y")["prism_location"] == "/y"


def test_options_of_the_section_are_beaten_by_the_command_line():
    section = {"direct_num_workers": 2, "direct_running_mode": "multi_threading", "experiments": ["a"]}
    checked = check_options(section, ["--direct_num_workers", "3", "--experiments=b"])
    options, given = checked.options, checked.given
    direct = options.view_as(DirectOptions)
    assert (direct.direct_num_workers, direct.direct_running_mode) == (3, "multi_threading")
    assert options.view_as(DebugOptions).experiments == ["a", "b"]
    assert given == {"direct_num_workers", "direct_running_mode", "experiments"}


def test_options_of_every_kind_pass_through():
    labels = {"labels": ["airflow-version=v3", "team=x"], "streaming": False, "no_auth": True, "region": None}
    found = check_options(labels).options.get_all_options(drop_default=True)
    assert found["labels"] == ["airflow-version=v3", "team=x"]
    assert found["no_auth"] is True
    assert "region" not in found
    assert "streaming" not in found


@pytest.mark.parametrize(
    ("section", "flags", "said"),
    [
        (
            {},
            ["--direct_num_worker=2"],
            "--direct_num_worker: there is no such option; did you mean --direct_num_workers?",
        ),
        ({}, ["--inptu=x"], "--inptu: there is no such option; did you mean --input?"),
        ({}, ["--xyzzyxyzzy"], "--xyzzyxyzzy: there is no such option; see --help, and Beam's own options"),
        ({}, ["corpus.jsonl"], "corpus.jsonl: not understood; options are written --name=value"),
        ({}, ["--direct_num_workers=x"], "--direct_num_workers: invalid int value: 'x'"),
        ({}, ["--direct_num_workers=-3"], "--direct_num_workers: -3 is too small; write 0 for every core"),
        ({}, ["--direct_running_mode=fast"], "--direct_running_mode: invalid choice: 'fast'"),
        (
            {"direct_num_worker": 2},
            [],
            "beam.direct_num_worker: there is no such option; did you mean beam.direct_num_workers?",
        ),
        ({"config": "x"}, [], "beam.config: there is no such option; see Beam's own options"),
        ({"direct_num_workers": "x"}, [], "beam.direct_num_workers: invalid int value: 'x'"),
        ({"runner": "DirectRuner"}, [], "--runner: 'DirectRuner' is not known; did you mean DirectRunner?"),
        ({}, ["--runner=Nope"], "--runner: 'Nope' is not known; one of DataflowRunner, DirectRunner, "),
    ],
)
def test_unknown_option_is_refused_with_the_closest(section, flags, said):
    assert refusal(section, *flags).startswith(said)


@pytest.mark.parametrize("name", REFUSED)
def test_runner_that_cannot_be_used_is_refused_by_name(name):
    assert refusal({"runner": name}) == f"--runner: {name} cannot be used: {REFUSED[name]}"
    assert name not in RUNNERS


def test_processes_say_only_what_matters_unless_they_are_asked_to():
    level = "default_sdk_harness_log_level"
    assert options_of({})[level] == "ERROR"
    assert options_of({}, f"--{level}=INFO")[level] == "INFO"
    assert options_of({level: "DEBUG"})[level] == "DEBUG"


CLOUD = ("--runner=DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://bucket/tmp")


@pytest.mark.parametrize(
    ("flags", "environment", "shares"),
    [
        (["--runner=PrismRunner"], "LOOPBACK", True),
        (["--runner=FlinkRunner"], "LOOPBACK", True),
        (["--runner=FlinkRunner", "--job_endpoint=localhost:8099"], "LOOPBACK", True),
        (["--runner=FlinkRunner", "--flink_master=flink.example:8081"], None, False),
        (["--runner=SparkRunner", "--job_endpoint=127.0.0.1:8099"], "LOOPBACK", True),
        (["--runner=SparkRunner", "--spark_master_url=local[2]"], "LOOPBACK", True),
        (["--runner=SparkRunner", "--spark_master_url=spark://127.0.0.1:7077"], None, False),
        (["--runner=PortableRunner", "--job_endpoint=embed"], "LOOPBACK", True),
        (["--runner=PortableRunner", "--job_endpoint=jobs.example:8099"], None, False),
        (["--runner=PortableRunner", "--job_endpoint=jobs:1", "--environment_type=LOOPBACK"], "LOOPBACK", True),
        (["--runner=SparkRunner", "--job_endpoint=localhost:1", "--environment_type=EXTERNAL"], "EXTERNAL", False),
        (CLOUD, None, False),
    ],
)
def test_workers_run_in_the_launcher_where_the_engine_is_on_this_machine(flags, environment, shares):
    checked = check_options({}, flags)
    assert checked.options.get_all_options()["environment_type"] == environment
    assert checked.shared_disk is shares
    assert ("--environment_type=LOOPBACK" in checked.chosen) is (
        environment == "LOOPBACK" and "--environment_type=LOOPBACK" not in flags
    )


def test_flink_gets_a_task_for_each_core_unless_the_user_names_a_number():
    assert options_of({}, "--runner=FlinkRunner")["parallelism"] == cores_here()
    assert options_of({}, "--runner=FlinkRunner", "--parallelism=7")["parallelism"] == 7
    assert options_of({}, "--runner=FlinkRunner", "--flink_master=flink.example:8081")["parallelism"] == -1


@pytest.mark.parametrize(
    ("flags", "staged"),
    [
        ([], False),
        (["--runner=PrismRunner"], False),
        (["--runner=FlinkRunner", "--flink_master=flink.example:8081"], True),
        (["--runner=FlinkRunner", "--flink_master=flink.example:8081", "--environment_type=DOCKER"], True),
        (["--runner=FlinkRunner", "--environment_type=DOCKER", "--environment_config=example/own:1"], False),
        (["--runner=FlinkRunner", "--environment_type=EXTERNAL", "--environment_config=localhost:1"], False),
        (CLOUD, True),
        ([*CLOUD, "--sdk_container_image=example/own:1"], False),
    ],
)
def test_workers_from_beams_image_install_the_base_package_alone(flags, staged):
    checked = check_options({}, flags)
    assert checked.staged is staged
    assert (checked.options.get_all_options()["setup_file"] is not None) is staged


def test_options_of_an_engine_that_beam_in_python_does_not_know_are_handed_on():
    assert options_of({}, "--runner=SparkRunner")["storage_level"] is None
    assert options_of({}, "--runner=SparkRunner", "--storage_level=DISK_ONLY")["storage_level"] == "DISK_ONLY"
    assert options_of({}, "--runner=FlinkRunner", "--object_reuse=true")["object_reuse"] == "true"


def test_project_goes_to_the_workers_of_dataflow_unless_they_have_an_image_of_their_own(tmp_path, monkeypatch):
    assert options_of({}, *CLOUD)["setup_file"] == str(ROOT / "setup.py")
    assert options_of({}, *CLOUD, "--sdk_container_image=i")["setup_file"] is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.py").touch()
    assert options_of({}, *CLOUD, "--setup_file=setup.py")["setup_file"] == str(tmp_path / "setup.py")
    assert refusal({}, *CLOUD, "--setup_file=nothing.py") == "--setup_file: there is no file nothing.py"


@pytest.mark.parametrize(
    ("flags", "waits"),
    [
        (["--runner=PrismRunner"], True),
        (["--runner=FlinkRunner", "--job_endpoint=localhost:8099"], True),
        (
            ["--runner=FlinkRunner", "--flink_master=flink.example:8081"],
            True,
        ),  # its server is a child of ours
        (["--runner=FlinkRunner", "--job_endpoint=flink.example:8099"], False),
        (["--runner=SparkRunner", "--job_endpoint=localhost:1", "--environment_type=EXTERNAL"], False),
        (CLOUD, False),
    ],
)
def test_jobs_can_be_left_alone_where_nothing_of_them_runs_in_the_launcher(flags, waits):
    assert check_options({}, flags).waits is waits


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--runner=PortableRunner"], "--job_endpoint: PortableRunner cannot do without it; write e.g. --job_endpoint"),
        (["--runner=DataflowRunner"], "--project: DataflowRunner cannot do without it; write e.g. --project=PROJECT"),
        (CLOUD[:2], "--region: DataflowRunner cannot do without it; write e.g. --region=us-central1"),
        (CLOUD[:3], "--temp_location: DataflowRunner cannot do without it; write e.g. --temp_location=gs://BUCKET/tmp"),
        (
            [*CLOUD, "--temp_location=/tmp"],
            "--temp_location: '/tmp' is no place on Cloud Storage; write e.g. gs://BUCKET/tmp",
        ),
        (
            [*CLOUD, "--staging_location=s3://bucket/x"],
            "--staging_location: 's3://bucket/x' is no place on Cloud Storage",
        ),
        ([*CLOUD, "--job_name=Nightly"], "--job_name: 'Nightly' is none that Dataflow takes; write lower-case letters"),
        (
            [*CLOUD, "--template_location=gs://bucket/t"],
            "--template_location: a classic template would freeze one attempt",
        ),
        (["--s3_secret_access_key=x"], "--s3_secret_access_key: options end up in the job's description and in logs"),
        (["--job_endpoint=host:8099"], "--job_endpoint: DirectRunner makes nothing of it; name the --runner it is for"),
        ([*CLOUD, "--environment_type=DOCKER"], "--environment_type: DataflowRunner makes nothing of it"),
        (
            ["--runner=PrismRunner", "--environment_type=nonsense"],
            "--environment_type: 'nonsense' is not known; one of DOCKER, EXTERNAL, LOOPBACK, PROCESS",
        ),
        (
            ["--runner=PrismRunner", "--environment_type=PROCESS"],
            "--environment_config: PROCESS needs a command that starts a worker; write {",
        ),
        (
            ["--runner=PrismRunner", "--environment_type=PROCESS", "--environment_config=boot"],
            "--environment_config: 'boot' is no JSON object",
        ),
        (["--streaming"], "--streaming: a job reads a corpus to its end and cannot be a stream; leave it out"),
        (["--storage_level=DISK_ONLY"], "--storage_level: DirectRunner has no such option; SparkRunner has"),
        (["--dry_run=true"], "--dry_run: DirectRunner has none; DataflowRunner has"),
        (["--dry_run=maybe"], "--dry_run: 'maybe' is no truth value; write --dry_run=true or --dry_run=false"),
    ],
)
def test_options_that_would_go_wrong_late_are_refused_at_once(flags, said):
    assert refusal({}, *flags).startswith(said)


@pytest.mark.parametrize(
    ("section", "flags", "dry"),
    [
        ({}, [], False),
        ({}, ["--dry_run=false"], False),
        ({}, ["--dry_run", "False"], False),
        ({}, ["--dry_run=True"], True),
        ({"dry_run": True}, [], True),
        ({"dry_run": True}, ["--dry_run=false"], False),
        ({"dry_run": False}, ["--dry_run=true"], True),
    ],
)
def test_dry_run_is_one_only_where_it_is_true(section, flags, dry):
    base = {"runner": "DataflowRunner", "project": "p", "region": "r", "temp_location": "gs://bucket/tmp"}
    assert options_of(base | section, *flags)["dry_run"] is dry


@pytest.mark.parametrize(
    ("section", "flags", "chosen", "saves"),
    [
        ({}, [], True, False),
        ({}, ["--save_main_session"], False, True),
        ({"save_main_session": True}, [], False, True),
        ({"save_main_session": False}, [], False, False),
    ],
)
def test_switch_of_the_user_keeps_its_other_side_from_being_chosen(section, flags, chosen, saves):
    checked = check_options(section, [*CLOUD, *flags])
    assert ("--no_save_main_session" in checked.chosen) is chosen
    assert checked.options.get_all_options()["save_main_session"] is saves


@pytest.mark.parametrize("given", ['--environment_config={"command": "c"}', "--environment_option=process_command=c"])
def test_processes_with_a_command_are_taken(given):
    assert check_options({}, ["--runner=PrismRunner", "--environment_type=PROCESS", given]).shared_disk is False


def test_secrets_are_not_repeated_in_the_refusal():
    assert "hush" not in refusal({}, "--s3_session_token=hush")


def test_launcher_of_a_flex_template_may_have_the_job_left_for_it():
    place = "gs://bucket/staging/template_launches/2026-01-01_00_00_00-1/job_object"
    assert options_of({}, *CLOUD, f"--template_location={place}")["template_location"] == place
    assert options_of({}, *CLOUD, "--template_location=job.json")["template_location"] == "job.json"


def options_of(section, *flags):
    return check_options(section, flags).options.get_all_options()
