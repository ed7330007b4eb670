import pytest
from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, StandardOptions

from pipeline.runners import REFUSED, RUNNERS, check_options, flags_of
from transforms.arrays.errors import ConfigError


def refusal(section, *flags):
    with pytest.raises(ConfigError) as error:
        check_options(section, flags)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_direct_runner_is_the_default_and_downloads_nothing():
    options, runner, given = check_options({})
    assert options.view_as(StandardOptions).runner == "DirectRunner"
    assert options.get_all_options()["prism_location"] == "disabled"
    assert runner.local
    assert given == frozenset()


def test_defaults_give_way_to_the_user():
    assert check_options({"prism_location": "/x"})[0].get_all_options()["prism_location"] == "/x"
    assert check_options({}, ["--prism_location=/y"])[0].get_all_options()["prism_location"] == "/y"


def test_options_of_the_section_are_beaten_by_the_command_line():
    section = {"direct_num_workers": 2, "direct_running_mode": "multi_threading", "experiments": ["a"]}
    options, _, given = check_options(section, ["--direct_num_workers", "3", "--experiments=b"])
    direct = options.view_as(DirectOptions)
    assert (direct.direct_num_workers, direct.direct_running_mode) == (3, "multi_threading")
    assert options.view_as(DebugOptions).experiments == ["a", "b"]
    assert given == {"direct_num_workers", "direct_running_mode", "experiments"}


def test_options_of_every_kind_pass_through():
    labels = {"labels": ["airflow-version=v3", "team=x"], "streaming": False, "no_auth": True, "region": None}
    found = check_options(labels)[0].get_all_options(drop_default=True)
    assert found["labels"] == ["airflow-version=v3", "team=x"]
    assert found["no_auth"] is True
    assert "region" not in found
    assert "streaming" not in found


def test_flags_are_spelled_as_beam_reads_them():
    assert flags_of({"a": 1, "b": True, "c": False, "d": None, "e": ["x", 2]}) == ["--a=1", "--b", "--e=x", "--e=2"]


@pytest.mark.parametrize(
    ("section", "flags", "said"),
    [
        (
            {},
            ["--direct_num_worker=2"],
            "--direct_num_worker: there is no such option; did you mean --direct_num_workers?",
        ),
        ({}, ["--inptu=x"], "--inptu: there is no such option; did you mean --input?"),
        ({}, ["--xyzzyxyzzy"], "--xyzzyxyzzy: there is no such option; see oblong run --help, and Beam's own options"),
        ({}, ["corpus.jsonl"], "corpus.jsonl: not understood; options are written --name=value"),
        ({}, ["--direct_num_workers=x"], "--direct_num_workers: invalid int value: 'x'"),
        ({}, ["--direct_num_workers=-3"], "--direct_num_workers: -3 is too small; write 0 for every core"),
        ({}, ["--direct_running_mode=fast"], "--direct_running_mode: invalid choice: 'fast'"),
        (
            {"direct_num_worker": 2},
            [],
            "beam.direct_num_worker: there is no such option; did you mean beam.direct_num_workers?",
        ),
        ({"direct_num_workers": "x"}, [], "beam.direct_num_workers: invalid int value: 'x'"),
        ({"runner": "DirectRuner"}, [], "--runner: 'DirectRuner' is not known; did you mean DirectRunner?"),
        ({}, ["--runner=Nope"], "--runner: 'Nope' is not known; one of DirectRunner"),
    ],
)
def test_unknown_option_is_refused_with_the_closest(section, flags, said):
    assert refusal(section, *flags).startswith(said)


@pytest.mark.parametrize("name", REFUSED)
def test_runner_that_cannot_be_used_is_refused_by_name(name):
    assert refusal({"runner": name}) == f"--runner: {name} cannot be used: {REFUSED[name]}"
    assert name not in RUNNERS


def test_processes_say_only_what_matters_unless_they_are_asked_to():
    assert level(check_options({})[0]) == "ERROR"
    assert level(check_options({}, ["--default_sdk_harness_log_level=INFO"])[0]) == "INFO"
    assert level(check_options({"default_sdk_harness_log_level": "DEBUG"})[0]) == "DEBUG"


def level(options):
    return options.get_all_options()["default_sdk_harness_log_level"]
