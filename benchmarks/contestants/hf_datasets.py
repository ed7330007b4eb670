"""Hugging Face datasets: map in batches, sort by length, pad neighbours, `to_parquet`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
from tokenizers import Tokenizer

from benchmarks.job import ROWS

if TYPE_CHECKING:
    from benchmarks.job import Job


class Encode:
    """Texts in, ids and their number out."""

    def __init__(self, path: str, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_file(path)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(batch["text"])]
        return {"input_ids": ids, "length": [len(row) for row in ids]}


def pad(batch: dict[str, list[Any]], pad_id: int) -> dict[str, Any]:
    """Pads neighbours to their longest."""
    width = max(batch["length"])
    ids = np.full((len(batch["length"]), width), pad_id, np.int32)
    mask = np.zeros(ids.shape, np.int8)
    for i, row in enumerate(batch["input_ids"]):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def run(job: Job) -> None:
    """Makes the data set; tokenizers uses all cores by itself where there is but one process."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false" if job.workers else "true"
    datasets.disable_progress_bars()
    rows = datasets.load_dataset("json", data_files=list(job.files), split="train", cache_dir=job.scratch)
    encode = Encode(f"{job.tokenizer}/tokenizer.json", job.max_length)
    encoded = rows.map(encode, batched=True, remove_columns=["text"], num_proc=job.workers)
    features = {
        "id": datasets.Value("int64"),
        "input_ids": datasets.Sequence(datasets.Value("int32")),
        "attention_mask": datasets.Sequence(datasets.Value("int8")),
    }
    padded = encoded.sort("length").map(
        pad,
        batched=True,
        batch_size=ROWS,
        fn_kwargs={"pad_id": job.pad_id},
        remove_columns=["length"],
        features=datasets.Features(features),
        num_proc=job.workers,
    )
    padded.to_parquet(f"{job.output}/part.parquet")
