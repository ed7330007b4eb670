import pytest

from pipeline.flags import flags_of, parse
from transforms.arrays.errors import ConfigError


@pytest.mark.parametrize(
    ("section", "flags"),
    [
        ({"region": None, "direct_num_workers": 1, "experiments": ["x", 2]},
         ["--direct_num_workers=1", "--experiments=x", "--experiments=2"]),
        ({"streaming": True, "no_auth": False, "streaming_": 1}, ["--streaming", "--streaming_=1"]),
        ({"use_public_ips": False}, ["--no_use_public_ips"]),
        ({"use_public_ips": True}, ["--use_public_ips"]),
        ({"no_use_public_ips": True}, ["--no_use_public_ips"]),
        ({"no_use_public_ips": False}, ["--use_public_ips"]),
        ({"pipeline_type_check": False}, ["--no_pipeline_type_check"]),
        ({"pipeline_type_check": True}, []),
        ({"no_pipeline_type_check": False}, []),
        ({"object_reuse": True}, ["--object_reuse=true"]),
        ({"cache_disabled": False}, ["--cache_disabled=false"]),
        ({"dry_run": True}, ["--dry_run=true"]),
        ({"dry_run": False}, []),
        ({"labels": {"a": "b", "c": True}}, ["--labels=a=b", "--labels=c=true"]),
        ({"experiments": ["x", {"a": 1}]}, ["--experiments=x", "--experiments=a=1"]),
        ({"transform_name_mapping": {"a": "b"}}, ['--transform_name_mapping={"a": "b"}']),
        ({"environment_config": {"command": "x"}}, ['--environment_config={"command": "x"}']),
    ],
)  # fmt: skip
def test_flags_are_spelled_as_beam_reads_them(section, flags):
    assert flags_of(section) == flags


def test_mappings_and_switches_come_back_from_beams_parser():
    section = {
        "labels": {"a": "b", "c": "d"},
        "sdk_harness_log_level_overrides": {"a.b": "ERROR"},
        "use_public_ips": False,
    }
    named = parse(flags_of(section), "beam.")
    assert named.labels == ["a=b", "c=d"]
    assert named.sdk_harness_log_level_overrides == {"a.b": "ERROR"}
    assert named.use_public_ips is False


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"enable_streaming_engine": False}, "beam.enable_streaming_engine: Beam has no switch for this value"),
        ({"region": False}, "beam.region: false is none of its values; leave it out"),
        ({"region": {"a": 1}}, "beam.region: a mapping is none of its values; write one value"),
        ({"streeming": False}, "beam.streeming: there is no such option; did you mean beam.streaming?"),
        ({"num_workers": False}, "beam.num_workers: invalid int value: 'false'"),
    ],
)
def test_value_that_beam_cannot_be_told_is_refused_by_name(section, said):
    with pytest.raises(ConfigError) as error:
        parse(flags_of(section), "beam.")
    assert str(error.value).startswith(said)
