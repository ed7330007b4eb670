"""The oracles that several tests of the arithmetic ask."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def tf():
    """TensorFlow, which says little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        return pytest.importorskip("tensorflow")


@pytest.fixture
def theirs(tmp_path):
    """Ids that `transformers` gives with two files."""
    transformers = pytest.importorskip("transformers")

    def load(tokenizer_json: bytes, config_json: bytes) -> Any:
        (tmp_path / "tokenizer.json").write_bytes(tokenizer_json)
        (tmp_path / "tokenizer_config.json").write_bytes(config_json)
        return transformers.AutoTokenizer.from_pretrained(str(tmp_path))

    return load
