"""`tokenizers.encode_batch_fast` on all cores, its output thrown away: what others take for the limit."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from benchmarks.digests import Digests
from benchmarks.texts import slices

if TYPE_CHECKING:
    from benchmarks.job import Job


def run(job: Job) -> float:
    """Encodes every text, with special tokens and truncation; times the calls alone.

    Args:
        job: The job; digests of the ids go to its output.

    Returns:
        Seconds spent in encode calls.
    """
    tokenizer = Tokenizer.from_file(f"{job.tokenizer}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(job.max_length)
    digests, seconds = Digests(), 0.0
    for ids, texts in slices(job.files):
        began = time.perf_counter()
        encodings = tokenizer.encode_batch_fast(texts)
        seconds += time.perf_counter() - began
        lengths = np.fromiter(map(len, encodings), np.int64, len(encodings))
        tokens = np.fromiter(chain.from_iterable(e.ids for e in encodings), np.int64, int(lengths.sum()))
        digests.add(ids, tokens, lengths)
    digests.save(job.output)
    return seconds
