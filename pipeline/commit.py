"""The graph's last step: everything is there and adds up, so the manifest is written, once."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import apache_beam as beam

from pipeline.increments import take_turn
from pipeline.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    Manifest,
    check_laws,
    read_manifest,
    seal,
    tokenizer_files,
    totals_of,
)
from transforms.arrays.errors import JobError
from transforms.files import create_once, exists, list_folder, read_bytes, remove_folder, sync_below
from transforms.step import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.job import Job


def add_counts(several: Iterable[Counts]) -> Counts:
    """Adds counts up by name.

    >>> add_counts([{"a": 1}, {"a": 2, "b": 3}])
    {'a': 3, 'b': 3}
    """
    sums: Counts = {}
    for counts in several:
        for name, number in counts.items():
            sums[name] = sums.get(name, 0) + number
    return sums


def check_dead_letters(counts: Counts, limit: float, folder: str) -> Counts:
    """Judges whether too many rows could not be used.

    Args:
        counts: Added up over the whole corpus.
        limit: `run.max_dead_letters`.
        folder: Where the dead letters are, for the message.

    Returns:
        The counts.

    Raises:
        JobError: The share of dead letters is above the limit.
    """
    letters = {name.removeprefix("dead_letters."): n for name, n in counts.items() if name.startswith("dead_letters.")}
    read = counts.get("rows_read", 0)
    if sum(letters.values()) > limit * read:
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(letters.items(), key=lambda item: -item[1]))
        raise JobError(
            f"too many dead letters: {sum(letters.values())} of {read} rows ({reasons}), more than "
            f"run.max_dead_letters {limit}; nothing is committed; see {folder}/dead_letters"
        )
    return counts


class Commit(beam.DoFn):
    """Writes the manifest.

    Args:
        described: Where the manifest stands, as far as it was known before.
        job: For its folders and its limit on dead letters.
        spills: Where the attempt has spilled rows; None for nowhere.
    """

    def __init__(self, described: str, job: Job, spills: str | None = None) -> None:
        self._described = described
        self._run_folder = job.run_folder
        self._fingerprint, self._recipe = job.fingerprint, job.recipe
        self._output = job.config.write.path
        self._attempt = job.attempt
        self._scratch = job.scratch_folder
        self._spills = spills
        self._limit = job.config.run.max_dead_letters

    def process(
        self, seed: object, counts: Counts, shards: Iterable[dict[str, Any]], letters: Iterable[dict[str, Any]]
    ) -> Iterator[Manifest]:
        """Writes the manifest of this attempt, or finds that another was first; clears up what only workers needed."""
        path = f"{self._run_folder}/{MANIFEST}"
        if exists(path):  # another attempt's, or this is a second try of a step that had succeeded
            yield self._settle(read_manifest(path))
            return
        described = json.loads(read_bytes(self._described))
        shards = list(shards)
        counts = add_counts([counts, *(shard["counts"] for shard in shards)])
        check_dead_letters(counts, self._limit, f"{self._run_folder}/{self._attempt}")
        totals = totals_of(counts)
        check_laws(totals)
        manifest = {
            "format_version": FORMAT_VERSION,
            **described,
            "tokenizer": {**described["tokenizer"], "tokens_checked": counts.get("tokens_checked", 0)},
            "files": self._placed(file for shard in shards for file in shard["files"]),
            "dead_letters": self._placed(letters),
            "totals": totals,
        }
        self._check(manifest)
        sync_below(f"{self._run_folder}/{self._attempt}")
        if manifest["generation"] is not None:
            take_turn(self._output, manifest["generation"]["number"], manifest["run_id"], self._attempt, self._scratch)
        create_once(path, seal(manifest), self._scratch)
        yield self._settle(read_manifest(path))

    def _settle(self, winner: Manifest) -> Manifest:
        """Takes the manifest that is there for this attempt's own, where it is of the same run; and clears up."""
        same = winner["fingerprint"] == self._fingerprint
        if winner.get("generation") is not None:  # once a scheduler's run is committed it is done, whatever has arrived
            same = winner["recipe"] == self._recipe
        if winner["attempt"] != self._attempt and not same:
            raise JobError(
                f"{self._run_folder}/{MANIFEST} was committed meanwhile by a run with another configuration, tokenizer "
                "or inputs; choose another run.id"
            )
        for folder in filter(None, (self._spills, self._scratch)):  # in this order: the second names the first
            with suppress(JobError):
                remove_folder(folder)
        return winner

    def _placed(self, files: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Names files from the run's folder, in order."""
        return sorted(({**file, "path": f"{self._attempt}/{file['path']}"} for file in files), key=lambda f: f["path"])

    def _check(self, manifest: Manifest) -> None:
        """Checks that every file is there with its size, by one listing: requests for each could take an hour."""
        sizes = {found.path: found.bytes for found in list_folder(f"{self._run_folder}/{self._attempt}")}
        for file in (*manifest["files"], *manifest["dead_letters"]):
            found = sizes.get(f"{self._run_folder}/{file['path']}")
            if found != file["bytes"]:
                raise JobError(
                    f"{file['path']} was written with {file['bytes']} bytes and has {found}; nothing is committed"
                )
        for path, _ in tokenizer_files(manifest):
            if not sizes.get(f"{self._run_folder}/{path}"):
                raise JobError(f"{path} was written and is gone; nothing is committed")
