"""What the tests of shapes and shards share: facts of a tokenizer with BERT's templates."""

from __future__ import annotations

from typing import Any

from transforms.arrays.facts import TokenizerFacts
from transforms.arrays.template import Piece, Template

SINGLE = Template((Piece(101, None, 0), Piece(None, 0, 0), Piece(102, None, 0)))
PAIR = Template((*SINGLE.pieces, Piece(None, 1, 1), Piece(102, None, 1)))


def facts(**changes: Any) -> TokenizerFacts:
    usual = {
        "sha256": "",
        "vocab_size": 1000,
        "model_max_length": 16,
        "truncation_side": "right",
        "padding_side": "right",
        "pad_token": "[PAD]",
        "pad_token_type_id": 0,
        "model_input_names": None,
        "single": SINGLE,
        "pair": PAIR,
    }
    return TokenizerFacts(**(usual | changes))
