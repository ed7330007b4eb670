"""The steps of the pipeline, each a PTransform that works alone in somebody else's pipeline.

    rows | ToBatches() | Tokenize(...) | Truncate(shape) | BucketByLength(shape) | Pad(shape)

Names are loaded when they are asked for, so that `transforms.arrays` can be used without Beam.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.arrays.bucket import Batching, Bucketing
    from transforms.arrays.engines import Tokenization
    from transforms.arrays.formats import Writing
    from transforms.arrays.pad import Padding
    from transforms.arrays.readers import Reading
    from transforms.arrays.shape import Shape
    from transforms.arrays.truncate import Truncation
    from transforms.bucket import BucketByLength
    from transforms.pad import Pad
    from transforms.read import ReadCorpus
    from transforms.to_batches import ToBatches
    from transforms.tokenize import Tokenize
    from transforms.tokenizer_files import shape_for
    from transforms.truncate import Truncate
    from transforms.write import WriteShards

HOMES = {
    "Batching": "transforms.arrays.bucket",
    "BucketByLength": "transforms.bucket",
    "Bucketing": "transforms.arrays.bucket",
    "Pad": "transforms.pad",
    "Padding": "transforms.arrays.pad",
    "ReadCorpus": "transforms.read",
    "Reading": "transforms.arrays.readers",
    "Shape": "transforms.arrays.shape",
    "ToBatches": "transforms.to_batches",
    "Tokenization": "transforms.arrays.engines",
    "Tokenize": "transforms.tokenize",
    "Truncate": "transforms.truncate",
    "Truncation": "transforms.arrays.truncate",
    "WriteShards": "transforms.write",
    "Writing": "transforms.arrays.formats",
    "shape_for": "transforms.tokenizer_files",
}

__all__ = [
    "Batching",
    "BucketByLength",
    "Bucketing",
    "Pad",
    "Padding",
    "ReadCorpus",
    "Reading",
    "Shape",
    "ToBatches",
    "Tokenization",
    "Tokenize",
    "Truncate",
    "Truncation",
    "WriteShards",
    "Writing",
    "shape_for",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
