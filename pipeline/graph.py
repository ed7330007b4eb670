"""The whole graph on one screen, the elements' types between the steps."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.pvalue import AsIter, AsSingleton

from pipeline.attempt import begin_attempt, spill_folder
from pipeline.commit import Commit, add_counts, check_dead_letters
from pipeline.job import Job, prepare
from transforms.bucket import BucketByLength
from transforms.dead_letters import WriteDeadLetters, count_reasons
from transforms.read import ReadCorpus
from transforms.step import Counts
from transforms.tokenize import Tokenize
from transforms.truncate import Truncate
from transforms.write import WriteShards
from transforms.write_in_order import WriteInOrder

if TYPE_CHECKING:
    from pipeline.config import Config
    from transforms.breadcrumbs import Breadcrumbs
    from transforms.progress import Progress


def build(pipeline: beam.Pipeline, config: Config) -> Any:
    """Adds a whole job to a pipeline.

    Args:
        pipeline: Somebody's pipeline.
        config: The configuration.

    Returns:
        A PCollection with the manifest, a dict, as its one element.

    Raises:
        ConfigError: The configuration does not fit its inputs or its tokenizer.
    """
    job = prepare(config)
    for note in job.notes:
        logging.getLogger("oblong").warning(note)
    return build_job(pipeline, job)


def build_job(
    pipeline: beam.Pipeline,
    job: Job,
    progress: Progress | None = None,
    *,
    breadcrumbs: Breadcrumbs | None = None,
    shared_disk: bool = False,
    workers: int | None = None,
    dry: bool = False,
) -> Any:
    """Adds a prepared job to a pipeline: see `build`.

    Args:
        pipeline: The pipeline.
        job: The job; its attempt is begun here.
        progress: Where workers note how far they are.
        breadcrumbs: Where they note what they are at.
        shared_disk: Whether all workers see the launcher's disk, for run.shuffle: auto.
        workers: How many there are, so that each gets several units of work; None where nobody knows.
        dry: Whether to leave out what the launcher writes for workers, because the job will not run.

    Returns:
        A PCollection with the manifest.
    """
    spills = spill_folder(job, shared_disk=shared_disk)
    attempt = begin_attempt(job, workers=workers, spills=spills, dry=dry)
    config, shape = attempt.config, job.shape
    texts, limit, folder = config.read.texts, config.run.max_dead_letters, job.attempt_folder
    unneeded = [text for text in texts if text not in job.corpus.kept]

    reading = ReadCorpus(config.read, job.corpus, progress, attempt.units, breadcrumbs)
    tokenizing = Tokenize(config.tokenize, texts, isolate=config.run.isolate, breadcrumbs=breadcrumbs)
    truncating = Truncate(shape, unneeded)

    if config.run.shuffles:
        read = pipeline | "Read" >> reading.with_dead_letters()
        # RecordBatch: row_id, texts, kept columns
        tokenized = read.rows | "Tokenize" >> tokenizing.with_dead_letters()
        # RecordBatch: the same, and the ids of each text
        truncated = tokenized.rows | "Truncate" >> truncating.with_dead_letters()
        # RecordBatch: row_id, ids with special tokens, content lengths, kept columns
        dealt = truncated.rows | "BucketByLength" >> BucketByLength(shape)
        # (shard, RecordBatch)
        steps: tuple[Any, ...] = (read, tokenized, truncated)
    else:
        # All in one step, since runners may mix the batches between two.
        in_order = WriteInOrder(reading, (tokenizing, truncating), config.write, shape, progress)
        written = pipeline | "WriteInOrder" >> in_order
        steps = (written,)

    letters = tuple(step.dead_letters for step in steps) | "DeadLetters" >> beam.Flatten()
    # RecordBatch: reason, message, place, raw content
    reasons = letters | "CountReasons" >> beam.Map(count_reasons).with_output_types(Counts)
    counts = (
        (*(step.counts for step in steps), reasons)
        | "Counts" >> beam.Flatten()
        | "AddCounts" >> beam.CombineGlobally(add_counts).with_output_types(Counts)
    )
    buried = letters | "WriteDeadLetters" >> WriteDeadLetters(config.write.path, shape.shards)
    # The limit is judged when the dead letters are on disk, and before a shuffled shard is written. In order, reading
    # and writing are one, so there it is judged before the commit alone.
    gate = counts | "CheckDeadLetters" >> beam.Map(
        lambda sums, _: check_dead_letters(sums, limit, folder), AsIter(buried)
    ).with_output_types(Counts)

    if config.run.shuffles:
        writing = WriteShards(config.write, shape, AsSingleton(gate), progress, spills, breadcrumbs)
        shards = dealt | "WriteShards" >> writing
    else:
        shards = written.shards
    # {files, counts}
    commit = beam.ParDo(Commit(attempt.described, job, spills), AsSingleton(gate), AsIter(shards), AsIter(buried))
    # On one element of its own, so that it runs for no rows too.
    return pipeline | "Once" >> beam.Create([None]) | "Commit" >> commit.with_output_types(dict[str, Any])
