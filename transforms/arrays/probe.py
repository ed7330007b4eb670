"""Texts made to find out whether an engine gives what `tokenizers` gives for one tokenizer."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from transforms.arrays.engines import Engine

BLANKS = (
    *" \t\n\r\x0b\x0c",
    "  ", " \n", "\n\n", "\r\n", "\t ", " \u00a0", "\u3000 ",
    *"\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2007\u200a\u2028\u2029\u202f\u205f\u3000",
)  # fmt: skip

WORDS = (
    "a", "Hello", "don't", "I'LL", "it's", "x1y2", "1234567", "3.14", "e\u0301", "\u0301", "\u00e9", "\u0130",
    "\u00df", "\ufb01", "\uff21", "\u4e2d\u6587", "\u3042\u308a", "\ud55c\uad6d", "\u0e44\u0e17\u0e22",
    "\u0639\u0631", "\u0600", "\u0915\u094d\u0937", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u200b", "\u200d",
    "\ufeff", "\u00ad", "\ufffd", "\x00", "\x01", "\x7f", "...", "!!", "--", "_", "(", ")", "[", "]", "<", ">", "'s",
    "'", '"', "\u2019", "\u201c", "\u2026", "#", "@user", "http://a.b/c?d=e", "C++", "\u2581", "\u0120", "##ing",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\u00b9\u00b2", "\u2167", "\u0661",
)  # fmt: skip


def probe_texts(tokenizer: Tokenizer, count: int = 2000, seed: int = 0) -> list[str]:
    """Makes texts from a tokenizer's own added tokens and from what tokenizers disagree about.

    Args:
        tokenizer: The tokenizer.
        count: How many.
        seed: The same seed gives the same texts.

    Returns:
        Short texts: single words, added tokens with and without blanks around them, blanks of every kind,
        control characters, marks, scripts, long runs, the empty text, and mixtures of all.
    """
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()][:64]
    added += [variant for content in added[:16] for variant in (content.lower(), content.upper(), content[:-1])]
    parts = [*WORDS, *added]
    texts = ["", *BLANKS, *parts]
    texts += [f"{blank}{token}{blank}" for token in added[:16] for blank in ("", " ", "  ", "\n", "a", "1", ".")]
    generator = random.Random(seed)  # noqa: S311 - no secret, and the same texts each time
    while len(texts) < count:
        chosen = generator.choices(parts, k=generator.randint(1, 6))
        glue = [generator.choice(("", "", " ", " ", generator.choice(BLANKS))) for _ in chosen]
        texts.append("".join(part for pair in zip(chosen, glue, strict=True) for part in pair))
    return texts[:count]


def first_difference(engine: Engine, oracle: Engine, texts: list[str]) -> str | None:
    """Finds a text for which an engine does not give what the oracle gives.

    Args:
        engine: The engine.
        oracle: `tokenizers` itself.
        texts: The texts.

    Returns:
        The first such text; None where there is none.
    """
    array: Any = pa.array(texts, pa.string())
    ours, theirs = engine.encode(array), oracle.encode(array)
    for i, text in enumerate(texts):
        mine = ours.values[ours.offsets[i] : ours.offsets[i + 1]]
        if mine.tolist() != theirs.values[theirs.offsets[i] : theirs.offsets[i + 1]].tolist():
            return text
    return None
