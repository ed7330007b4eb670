"""A job: the configuration resolved against its inputs and tokenizer, and the attempt it writes to."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline.increments import Increment, earlier_generations, only_new
from pipeline.manifest import ATTEMPTS, MANIFEST, canonical
from transforms.arrays.engines import choose_engine
from transforms.arrays.facts import TokenizerFacts, pad_token_id, plain_tokenizer
from transforms.arrays.formats import schema_of
from transforms.arrays.shape import Shape, make_shape
from transforms.files import exists, require_store
from transforms.inputs import Corpus, find_corpus, find_inputs, kept_types, require_patterns
from transforms.tokenizer_files import TokenizerFiles, facts_of, read_tokenizer_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.config import Config

SHARD_BYTES = 256 << 20  # of inputs on disk, for write.shards: auto


@dataclass(frozen=True)
class Job:
    """All that is known before the pipeline runs.

    Attributes:
        config: As the user wrote it.
        corpus: The frozen inputs.
        files: The tokenizer's files.
        facts: What they say.
        engine: The name of the engine that encodes.
        engine_reason: Why it is this one.
        shape: Where rows go and what they become.
        fingerprint: Of inputs, configuration and tokenizer.
        recipe: Of configuration and tokenizer alone.
        increment: What is new, with run.incremental; else None.
        run_id: The run's name.
        attempt: The attempt's name.
        created: When the job was made, UTC; finely enough that two runs of one second have an order.
    """

    config: Config
    corpus: Corpus
    files: TokenizerFiles
    facts: TokenizerFacts
    engine: str
    engine_reason: str
    shape: Shape
    fingerprint: str
    recipe: str
    increment: Increment | None
    run_id: str
    attempt: str
    created: str

    @property
    def run_folder(self) -> str:
        """Where the run's manifest is to be."""
        return run_folder(self.config.write.path, self.run_id)

    @property
    def attempt_folder(self) -> str:
        """Where this attempt, and nothing else, writes."""
        return f"{self.run_folder}/{self.attempt}"

    @property
    def scratch_folder(self) -> str:
        """Where files are before they are whole; nothing in it outlives the attempt."""
        return f"{self.attempt_folder}.tmp"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided that the user did not ask for."""
        return (*self.facts.notes, *self.shape.notes, *self._what_stays_twice())

    def _what_stays_twice(self) -> Iterator[str]:
        """Rows that a file is read again for can be told from its older ones by row_id alone."""
        if self.increment is not None and self.increment.changed and "row_id" not in self.shape.columns:
            yield (
                f"run.on_changed: the older rows of {next(iter(self.increment.changed))} stay in the data set, and "
                "without row_id among write.columns no reader can leave them out"
            )

    @property
    def schema(self) -> Any:
        """Columns of the shards."""
        return schema_of(self.corpus.kept, self.shape.columns)


def run_folder(output: str, run_id: str) -> str:
    """Where a run of a data set is."""
    return f"{output.rstrip('/')}/runs/{run_id}"


def prepare(config: Config, *, extras: bool = True) -> Job:
    """Resolves a configuration; nothing is written.

    Args:
        config: The configuration.
        extras: Whether workers have the extras that are installed here.

    Returns:
        The job.

    Raises:
        ConfigError: The configuration does not fit its inputs or its tokenizer.
    """
    require_store(config.write.path, "write.path", to_write=True)
    require_patterns(config.read)
    files = read_tokenizer_files(config.tokenize.tokenizer)
    facts = facts_of(files, config.tokenize)
    recipe = _recipe(config, facts, files)
    now = datetime.datetime.now(datetime.timezone.utc)
    corpus, increment = _corpus(config, recipe, now.timestamp())
    tokenizer = plain_tokenizer(files.tokenizer_json)
    choice = choose_engine(tokenizer, config.tokenize.engine, extras=extras)
    pad_id = pad_token_id(tokenizer, facts, config.pad.token) if config.pad.pads else None
    shape = _shape(config, corpus, facts, pad_id)
    fingerprint = _fingerprint(config, corpus, facts, files)
    return Job(
        config=config,
        corpus=corpus,
        files=files,
        facts=facts,
        engine=choice.name,
        engine_reason=choice.reason,
        shape=shape,
        fingerprint=fingerprint,
        recipe=recipe,
        increment=increment,
        run_id=config.run.id or fingerprint[:16],
        attempt=f"{ATTEMPTS}{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
        created=f"{now:%Y-%m-%dT%H:%M:%S.%f}Z",
    )


def _corpus(config: Config, recipe: str, now: float) -> tuple[Corpus, Increment | None]:
    """Finds the inputs; of a corpus that grows, those that are new."""
    if not config.run.incremental:
        return find_corpus(config.read), None
    earlier = earlier_generations(config, recipe)
    reading = config.read
    if earlier:  # columns keep the types that they have
        reading = msgspec.structs.replace(reading, keep=earlier[0]["config"]["read"]["keep"])
    found = find_inputs(reading, may_be_none=bool(earlier))
    files, increment = only_new(found, earlier, config, now)
    if any(manifest["run_id"] == config.run.id for manifest in earlier):
        return Corpus(files, {}), increment  # the run is done already, whatever has arrived
    # A column that no new file has may be in one that was seen; what is being written may be no whole file yet.
    young = set(increment.young)
    looked_into = dict.fromkeys([*files, *(file for file in found if file.file not in young)])
    return Corpus(files, kept_types(reading, tuple(looked_into))), increment


def _shape(config: Config, corpus: Corpus, facts: TokenizerFacts, pad_id: int | None) -> Shape:
    shards = config.write.shards
    return make_shape(
        facts,
        pad_id,
        pair=config.read.text_pair is not None,
        truncation=config.truncate,
        bucketing=config.bucket,
        batching=config.batch,
        padding=config.pad,
        columns=config.write.columns,
        seed=config.run.seed,
        shards=shards if isinstance(shards, int) else max(1, -(-corpus.bytes // SHARD_BYTES)),
        splits=config.split,
    )


def _fingerprint(config: Config, corpus: Corpus, facts: TokenizerFacts, files: TokenizerFiles) -> str:
    """Names what the data files depend on: not where they go, nor what runs the job."""
    described = {
        "inputs": [[file.file, file.bytes, file.checksum or file.changed] for file in corpus.files],
        "kept": {name: str(kind) for name, kind in corpus.kept.items()},
        "config": _sections(config),
        "tokenizer": facts.sha256,
        "tokenizer_config": hashlib.sha256(files.config_json or b"").hexdigest(),
    }
    return hashlib.sha256(canonical(described)).hexdigest()


def _recipe(config: Config, facts: TokenizerFacts, files: TokenizerFiles) -> str:
    """Names what the generations of a data set have in common: configuration and tokenizer."""
    sections = _sections(config)
    del sections["run"]["incremental"]  # the first generation may have been an ordinary run
    described = {
        "config": sections,
        "tokenizer": facts.sha256,
        "tokenizer_config": hashlib.sha256(files.config_json or b"").hexdigest(),
    }
    return hashlib.sha256(canonical(described)).hexdigest()


def _sections(config: Config) -> dict[str, Any]:
    """The configuration without what no data file depends on, spelled in one way."""
    sections: dict[str, Any] = msgspec.to_builtins(config)
    for key in ("files", "root"):
        del sections["read"][key]
    del sections["write"]["path"], sections["tokenize"]["tokenizer"], sections["beam"]
    for key in ("id", "spill_dir", "on_changed", "min_age", "isolate"):
        del sections["run"][key]
    if config.run.shuffles:  # else the units of work are the shards
        del sections["read"]["split_bytes"], sections["run"]["shuffle"]
    # However it was spelled: true is longest, a single format a list of one.
    sections["pad"]["to"], sections["truncate"]["strategy"] = config.pad.name, config.truncate.name
    sections["write"]["formats"] = config.write.names
    return sections


def next_free(job: Job) -> Job:
    """Gives a job a run of its own where its run is committed already.

    Args:
        job: The job.

    Returns:
        The job under the first free of its id, its id-2, its id-3, ...
    """
    number, fresh = 2, job
    while exists(f"{fresh.run_folder}/{MANIFEST}"):
        fresh = replace(job, run_id=f"{job.run_id}-{number}")
        number += 1
    return fresh
