"""The configuration: one section a step, from YAML, short options and Hugging Face's spellings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import msgspec
import yaml

from pipeline.beam_section import refuse_programs
from pipeline.running import Running
from pipeline.yaml_text import Refused, load_yaml
from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.engines import Tokenization
from transforms.arrays.errors import ConfigError, JobError, blame, one_of, suggest
from transforms.arrays.formats import Writing
from transforms.arrays.pad import Padding
from transforms.arrays.readers import Reading
from transforms.arrays.shape import OUTPUT_COLUMNS
from transforms.arrays.spec import Spec
from transforms.arrays.truncate import Truncation
from transforms.files import exists, require_store
from transforms.small_files import read_small

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LARGEST = 4 << 20  # bytes of a file: a list of some 40,000 paths; PyYAML takes hundreds of bytes for one

NO_TEXT = re.compile("[\0\ud800-\udfff]")  # half a surrogate pair also stands for a byte that is no UTF-8

# Hugging Face's names of the same things.
ALIASES = {
    "padding": "pad.to",
    "truncation": "truncate.strategy",
    "max_length": "truncate.max_length",
    "pad_to_multiple_of": "pad.multiple_of",
    "stride": "truncate.stride",
    "return_overflowing_tokens": "truncate.overflow",
    "padding_side": "pad.side",
    "truncation_side": "truncate.side",
}


class Config(Spec, frozen=True):
    """The whole configuration; every section and key may be left out.

    Attributes:
        read: What is read.
        tokenize: How texts become ids.
        truncate: How rows are cut to size.
        bucket: How rows are put into length classes.
        pad: How batches become rectangles.
        batch: How many rows make a batch.
        write: What is written.
        split: Names and shares of the splits; empty: all rows are "train".
        run: How the job as a whole goes.
        beam: Beam's own options.

    >>> load_config({"max_length": 128, "padding": "max_length"}).truncate.max_length
    128
    """

    read: Reading = Reading()
    tokenize: Tokenization = Tokenization()
    truncate: Truncation = Truncation()
    bucket: Bucketing = Bucketing()
    pad: Padding = Padding()
    batch: Batching = Batching()
    write: Writing = Writing()
    split: dict[str, float] = msgspec.field(default_factory=dict)
    run: Running = Running()
    beam: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses kept columns that would stand where an output column stands, and shards nobody deals out to."""
        for name in self.read.keep:
            if name in OUTPUT_COLUMNS:
                raise ConfigError(f"read.keep: {name!r} is also an output column; rename it in the input")
        if self.run.incremental and self.read.root is None:
            raise ConfigError(
                "read.root: has to be given with run.incremental, or a file could go by another name next time; "
                "name the folder that all inputs are below"
            )
        if not self.run.shuffles and self.write.shards != "auto":
            raise ConfigError(
                f"write.shards: {self.write.shards} cannot be had with run.shuffle: none, where each unit of work "
                "writes shards of its own; leave it out and set read.split_bytes"
            )


def load_config(source: str | Path | Mapping[str, Any] | None, overrides: Iterable[str] = ()) -> Config:
    """Reads a configuration.

    Args:
        source: A YAML file's path, on any file system; or the sections themselves; or None for defaults.
        overrides: `section.key=value`, values as YAML; later ones win.

    Returns:
        The configuration.

    Raises:
        ConfigError: A key, a type or a value is wrong; the message names it and what would be right.
    """
    tree = _canonical(_load(source))
    _check_keys(tree)
    spelled: dict[str, str] = {}
    for override in overrides:
        _apply(tree, override, spelled)
    _check_keys(tree)
    _check_text(tree, "")
    try:
        return msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ConfigError):
            raise error.__cause__ from None
        raise ConfigError(_for_people(str(error), tree)) from None


def _load(source: str | Path | Mapping[str, Any] | None) -> dict[str, Any]:
    if source is None:
        return {}
    if not isinstance(source, str) and hasattr(source, "items"):
        return dict(cast("Mapping[str, Any]", source))
    path = str(source)
    require_store(path, "--config")
    try:
        if not exists(path):
            raise ConfigError(f"--config: there is no file {path}")
        tree = load_yaml(read_small(path, LARGEST))
    except Refused as error:
        raise ConfigError(f"--config: {path}: {_yaml_problem(error)}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config: {path} is not YAML: {_yaml_problem(error)}") from None
    except OSError as error:
        raise ConfigError(f"--config: {path} cannot be read: {error}") from None
    except JobError as error:
        raise blame(error, "--config") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"--config: {path} holds a {type(tree).__name__}, expected sections such as read: and write:")
    if isinstance(tree.get("beam"), dict):
        refuse_programs(tree["beam"])
    return tree


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', error)}"


def _canonical(tree: dict[str, Any]) -> dict[str, Any]:
    """Copies the sections and puts Hugging Face's spellings in their places."""
    sections = {key: dict(value) if isinstance(value, dict) else value for key, value in tree.items()}
    for alias, target in ALIASES.items():
        if alias not in sections:
            continue
        section, key = target.split(".")
        inside = sections.setdefault(section, {})
        inside = sections[section] = {} if inside is None else inside
        if isinstance(inside, dict) and key in inside:
            raise ConfigError(f"{alias}: {target} is given too, and means the same; give one of them")
        if isinstance(inside, dict):
            inside[key] = sections[alias]
        del sections[alias]
    return {key: {} if value is None else value for key, value in sections.items()}


def _apply(tree: dict[str, Any], override: str, spelled: dict[str, str]) -> None:
    """Puts `section.key=value` into the sections; `spelled` says how each key was written before."""
    path, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"--set: {override!r} has no value; write --set SECTION.KEY=VALUE")
    target = ALIASES.get(path, path)
    before = spelled.setdefault(target, path)
    if before != path:
        raise ConfigError(f"{path}: {before} is given too, and means the same; give one of them")
    section, dot, key = target.partition(".")
    if not section or (dot and not key):
        raise ConfigError(f"--set: {path!r} names no key; write --set SECTION.KEY=VALUE")
    try:
        value = load_yaml(text)
    except Refused as error:
        raise ConfigError(f"{path}: {error.problem}") from None
    except yaml.YAMLError:
        value = text
    if not key:
        one_of(section, Config.__struct_fields__, "--set")
        tree[section] = {} if value is None else value
        return
    inside = tree.setdefault(section, {})
    if not isinstance(inside, dict):
        raise ConfigError(f"--set: {section} is {inside!r}, which has no keys")
    inside[key] = value


def _check_keys(tree: dict[str, Any]) -> None:
    """Refuses keys that do not exist, with the closest that do."""
    for section, inside in tree.items():
        if section not in Config.__struct_fields__:
            raise ConfigError(
                f"{section}: there is no such section; {suggest(str(section), [*Config.__struct_fields__, *ALIASES])}"
            )
        if not isinstance(inside, dict):
            raise ConfigError(f"{section}: expected keys below it, got {inside!r}")
        spec = type(getattr(Config(), section))
        if not issubclass(spec, Spec):
            continue
        for key in inside:
            if key not in spec.__struct_fields__:
                raise ConfigError(f"{section}.{key}: there is no such key; {suggest(str(key), spec.__struct_fields__)}")


def _check_text(value: Any, path: str) -> None:
    """Refuses text that neither a file's name nor a manifest can have."""
    if isinstance(value, str) and NO_TEXT.search(value):
        raise ConfigError(f"{path}: {value[:100]!r} has a character that is no text; leave it out, or rename the file")
    if isinstance(value, dict | list | tuple):
        for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
            name = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
            _check_text(key, f"{path} key")
            _check_text(inside, path + name)


def _for_people(message: str, tree: dict[str, Any]) -> str:
    """Turns msgspec's message, such as "Expected `int`, got `str` - at `$.batch.rows`", round."""
    problem, _, place = message.replace(" - at key in `$.", " as a key - at `$.").partition(" - at `$.")
    path = ""
    value: Any = tree
    for key in re.findall(r"\[\.\.\.\]|[^.\[\]]+", place.rstrip("`")):
        if key == "[...]" and isinstance(value, dict):  # a mapping's value: msgspec does not say which
            key = next((k for k, v in value.items() if f"got `{_kind(v)}`" in problem), key)
        if isinstance(value, dict) and key in value:
            path, value = f"{path}.{key}", value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            path, value = f"{path}[{key}]", value[int(key)]
    for theirs, ours in (
        ("`", ""),
        (" | null", " or nothing"),
        (" | ", " or "),
        ("array", "list"),
        ("object", "mapping"),
    ):
        problem = problem.replace(theirs, ours)
    return f"{path[1:]}: {problem[:1].lower()}{problem[1:]} ({value!r})"


def _kind(value: object) -> str:
    """What msgspec calls a value's type."""
    return {"NoneType": "null", "list": "array", "dict": "object"}.get(type(value).__name__, type(value).__name__)
