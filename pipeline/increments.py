"""Growing corpora: what is new since the runs that a data set has, and whose turn it is to add it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.age import parse_age
from pipeline.generations import committed_manifests, turns_folder
from pipeline.lineage import check_lineage
from pipeline.manifest import canonical
from transforms.arrays.errors import ConfigError, JobError
from transforms.files import create_once, exists, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.config import Config
    from pipeline.manifest import Manifest
    from transforms.inputs import InputFile


class Increment(NamedTuple):
    """What a run adds to the data set.

    Attributes:
        number: Of this generation, from 1.
        previous: The runs that are there already, the oldest first.
        new: How many files none of them has seen.
        changed: Files that one of them has seen with another content, and what was and is known of each.
        young: Files that may still be written to, left for the next time.
        seen: How many files are left out because nothing of them is new.
    """

    number: int
    previous: tuple[str, ...]
    new: int
    changed: dict[str, str]
    young: tuple[str, ...]
    seen: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to add."""
        return not self.new and not self.changed


def earlier_generations(config: Config, recipe: str) -> list[Manifest]:
    """Reads the manifests of a data set that is to be added to.

    Args:
        config: The configuration of the run that adds.
        recipe: The fingerprint of its configuration and tokenizer.

    Returns:
        The manifests, the oldest first.

    Raises:
        ConfigError: They were made with another configuration or tokenizer, one of them is gone, or a run is among
            them that is no generation.
    """
    found = committed_manifests(config.write.path)
    for manifest in found:
        if manifest.get("recipe") != recipe:
            raise ConfigError(
                f"run.incremental: {config.write.path} was made with another configuration or tokenizer (recipe "
                f"{str(manifest.get('recipe'))[:16]} in run {manifest['run_id']}, this is {recipe[:16]}); "
                "to start a new version of the data set, give another write.path"
            )
    check_lineage(config.write.path, found)
    return found


def only_new(
    found: Iterable[InputFile], earlier: Iterable[Manifest], config: Config, now: float
) -> tuple[tuple[InputFile, ...], Increment]:
    """Leaves out what earlier generations have seen.

    Args:
        found: All files that the patterns match.
        earlier: The manifests of the generations that are there.
        config: For `run.on_changed` and `run.min_age`.
        now: Seconds since 1970.

    Returns:
        The files that are new, or changed where that is wanted; and what was found.
    """
    earlier = list(earlier)
    known = {entry["file"]: entry for manifest in earlier for entry in manifest["inputs"]}
    settled = now - parse_age(config.run.min_age, "run.min_age")
    seen, new, changed, young = 0, [], [], []
    for file in found:
        if file.file in known and _is_as_before(file, known[file.file]):
            seen += 1
        elif file.changed > settled:
            young.append(file)
        elif file.file in known:
            changed.append(file)
        else:
            new.append(file)
    increment = Increment(
        number=len(earlier) + 1,
        previous=tuple(manifest["run_id"] for manifest in earlier),
        new=len(new),
        changed={file.file: f"{_spell(known[file.file])}, now {_spell(file._asdict())}" for file in changed},
        young=tuple(file.file for file in young),
        seen=seen,
    )
    return tuple(sorted([*new, *changed], key=lambda file: file.file)), increment


def _is_as_before(file: InputFile, entry: dict[str, Any]) -> bool:
    """By size, and by checksum where the file system keeps one, else by the time of change."""
    if file.bytes != entry["bytes"]:
        return False
    if file.checksum is not None and entry.get("checksum") is not None:
        return bool(file.checksum == entry["checksum"])
    return bool(file.changed == entry["changed"])


def _spell(entry: dict[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(entry["changed"]))
    return f"{entry['bytes']:,} bytes, {entry.get('checksum') or f'changed {when} UTC'}"


def check_increment(config: Config, increment: Increment, run_id: str) -> None:
    """Looks before any work is done whether a generation can be added.

    Args:
        config: For `write.path` and `run.on_changed`.
        increment: What is to be added.
        run_id: The run's name.

    Raises:
        ConfigError: Another run has taken the generation and is not committed: it is about to be, or was killed just
            then.
        JobError: A file has changed, and `run.on_changed` is error.
    """
    if increment.changed and config.run.on_changed == "error":
        file, how = next(iter(increment.changed.items()))
        more = f", and {len(increment.changed) - 1} more files" if len(increment.changed) > 1 else ""
        raise JobError(
            f"run.on_changed: {file} has changed since it was read ({how}){more}; nothing is written; write reprocess "
            "to read such files again, or put what is new into files of its own"
        )
    path = turn_path(config.write.path, increment.number)
    holder = _holder(path) if exists(path) else run_id
    if holder != run_id:
        raise ConfigError(
            f"run.incremental: generation {increment.number} of {config.write.path} belongs to run {holder}, which is "
            "not committed: it is about to be, or was killed just then; run that again (--run_id where you gave it "
            "one), or clear it up where nothing runs: "
            f"oblong gc {config.write.path} --older-than 0 --delete"
        )


def take_turn(output: str, number: int, run_id: str, attempt: str, scratch: str) -> None:
    """Makes sure that no other run adds the same generation.

    Two runs that start together find the same files new; were both committed, the rows would be there twice. So each
    generation belongs to the run that takes it first, just before its manifest is written; another attempt at that
    run may end what one has begun.

    Args:
        output: `write.path`.
        number: Of the generation.
        run_id: The run's name.
        attempt: The attempt's name.
        scratch: A folder on the same file system for the try's own file.

    Raises:
        JobError: Another run has it.
    """
    path = turn_path(output, number)
    if create_once(path, canonical({"run_id": run_id, "attempt": attempt}), scratch):
        return
    holder = _holder(path)
    if holder != run_id:
        raise JobError(
            f"generation {number} of {output} was taken meanwhile by run {holder}; nothing is committed; "
            "run again, for what is new then"
        )


def _holder(path: str) -> str:
    """The run that has taken a generation."""
    return str(json.loads(read_bytes(path))["run_id"])


def turn_path(output: str, number: int) -> str:
    """Where it stands which run a generation belongs to."""
    return f"{turns_folder(output)}/{number:06}.json"
