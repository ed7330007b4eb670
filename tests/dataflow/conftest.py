"""Stand-ins that tests of Dataflow share, each started once: nothing here reaches a cloud."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.clouds import BUCKET
from tests.dataflow.image import Image
from tests.dataflow.stand_ins import Bucket, emulated_bucket
from tests.dataflow.worlds import Machine, World, make_machine, make_world
from tests.runs import KEEP, some_rows, write_jsonl, write_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


NEEDED = ("google.cloud.dataflow_v1beta3", "google.cloud.storage", "gcp_storage_emulator", "build")


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    """An emulated bucket."""
    for package in NEEDED:
        pytest.importorskip(package, reason=f"there is no {package} here: make test-clouds")
    with emulated_bucket() as made:
        yield made


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, bucket: Bucket) -> World:
    """A launcher's surroundings."""
    return make_world(tmp_path_factory.mktemp("world"), bucket)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A worker's machine as it comes, with nothing installed on it."""
    return make_machine(tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="session")
def image(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, without a container."""
    return Image(machine, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of a word a token that is large, and random enough to stay large when it is compressed."""
    folder = write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    told = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = told["model"]["vocab"]
    words = random.Random(0)
    vocabulary |= {f"{words.getrandbits(96):024x}": len(vocabulary) + i for i in range(20_000)}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="session")
def corpus(world: World, bucket: Bucket, tokenizer: Path) -> dict[str, str]:
    """A corpus, a tokenizer and a configuration, here and in the bucket: the addresses of both configurations."""
    rows = some_rows(300)
    for name, part in {"corpus/a.jsonl": rows[:200], "corpus/b.jsonl": rows[200:]}.items():
        bucket.write(name, write_jsonl(world.folder / name, part).read_bytes())
    for file in tokenizer.iterdir():
        bucket.write(f"tokenizer/{file.name}", file.read_bytes())
    here, there = sections(str(world.folder), str(tokenizer)), sections(f"gs://{BUCKET}", f"gs://{BUCKET}/tokenizer")
    (world.folder / "job.yaml").write_text(yaml.safe_dump(here))
    return {"here": str(world.folder / "job.yaml"), "there": bucket.write("job.yaml", yaml.safe_dump(there).encode())}


def sections(folder: str, tokenizer: str) -> dict[str, Any]:
    """A job with pairs, windows, kept columns, splits, several shards, both formats."""
    return {
        "read": {"files": f"{folder}/corpus/*.jsonl", "text_pair": "other", "keep": KEEP},
        "tokenize": {"tokenizer": tokenizer},
        "truncate": {"max_length": 64, "overflow": True, "stride": 8, "strategy": "only_first"},
        "bucket": {"boundaries": [16, 32, 48]},
        "write": {"path": f"{folder}/out", "formats": ["parquet", "tfrecord"], "shards": 2},
        "split": {"train": 0.9, "validation": 0.1},
    }
