"""The README's tables, compared with the code they tell of."""

from __future__ import annotations

import inspect
import re

import msgspec
import pytest
import yaml

from pipeline.config import ALIASES, Config
from tests.markdown import README, table
from transforms.arrays.spec import Spec

SECTIONS = {field.name: getattr(Config(), field.name) for field in msgspec.structs.fields(Config)}
SPECS = [Config, *(type(section) for section in SECTIONS.values() if isinstance(section, Spec))]


def defaults() -> dict[str, object]:
    found: dict[str, object] = {}
    for name, section in SECTIONS.items():
        if isinstance(section, Spec):
            keys = msgspec.json.decode(msgspec.json.encode(section))  # as YAML has them: lists, not tuples
            found |= {f"{name}.{key}": value for key, value in keys.items()}
        else:
            found[name] = section
    return found


def test_configuration_table_has_every_key_with_its_default_and_no_others():
    rows = table(README, "key")
    assert all(len(row) == 3 and row[2] for row in rows)
    said = {key: yaml.safe_load(default) for key, default, _ in rows}
    assert len(said) == len(rows)
    assert said == defaults()
    assert list(said) == list(defaults())  # in the order of the sections and their keys


def test_other_spellings_are_those_that_are_accepted():
    assert {alias: key for alias, key, *_ in table(README, "in transformers")} == ALIASES


def test_what_cannot_be_had_yet_is_really_refused():
    from pipeline.cli import LATER
    from pipeline.config import load_config
    from transforms.arrays.errors import ConfigError

    limits = README.read_text("utf-8").partition("## Limits")[2].partition("\n## ")[0]
    assert all(f"`oblong {command}`" in limits for command in LATER)
    for key, value in [("bucket.boundaries", "auto")]:
        assert f"`{key}`" in limits or f"`{key}: {value}`" in limits
        with pytest.raises(ConfigError, match="not available yet"):
            load_config({}, [f"{key}={value}"])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_docstring_lists_every_field_in_order(spec):
    attributes = inspect.cleandoc(spec.__doc__ or "").partition("\nAttributes:\n")[2]  # Python 3.13 keeps it clean
    assert tuple(re.findall(r"^ {4}(\w+): ", attributes, re.MULTILINE)) == spec.__struct_fields__
