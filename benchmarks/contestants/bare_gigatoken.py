"""gigatoken on all cores, its output thrown away: the limit for byte-level BPE."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from benchmarks.digests import Digests
from benchmarks.texts import slices

if TYPE_CHECKING:
    from benchmarks.job import Job


def run(job: Job) -> float:
    """Encodes every text; times the calls alone.

    It neither truncates nor adds special tokens; the tokenizer it gets has none, and the digests are of the
    first `max_length` ids.

    Args:
        job: The job; digests of the ids go to its output.

    Returns:
        Seconds spent in encode calls.
    """
    import awkward as ak
    import gigatoken

    tokenizer = gigatoken.Tokenizer.from_json(Path(job.tokenizer, "tokenizer.json").read_bytes())
    digests, seconds = Digests(), 0.0
    for ids, texts in slices(job.files):
        array = ak.from_arrow(pa.array(texts, pa.large_string()))
        began = time.perf_counter()
        encoded = tokenizer.encode_batch(array)
        seconds += time.perf_counter() - began
        cut = ak.to_packed(encoded[:, : job.max_length])
        lengths = ak.to_numpy(ak.num(cut)).astype(np.int64)
        digests.add(ids, ak.to_numpy(ak.flatten(cut)).astype(np.int64), lengths)
    digests.save(job.output)
    return seconds
