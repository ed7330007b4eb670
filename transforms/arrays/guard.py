"""The guard: while the job runs, a small sample of every batch is encoded the plain way too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.arrays.errors import JobError

if TYPE_CHECKING:
    from transforms.arrays.engines import Engine
    from transforms.arrays.ragged import Ragged

SHARE = 1 / 1000  # of the rows: some 4 % of the time of an engine 25 times as fast as `tokenizers`
LONGEST = 1 << 20  # bytes of a row that is compared: `tokenizers` takes some 120 bytes of memory for one of them


class Guard:
    """Compares an engine with `tokenizers` on a seeded sample of what it encodes.

    An engine that errs on a share e of its tokens, independently, passes n tokens unseen with probability
    (1 - e) ** (share * n), which is below one in 20,000 where share * e * n is 10: for one wrong token in a thousand,
    after 10 million tokens at a share of 1 / 1000 and after 40 million at 1 / 4000. Rows above `LONGEST` are left out.

    Args:
        engine: The engine.
        oracle: `tokenizers` itself.
        share: Of the rows, how many are compared.

    Attributes:
        tokens_checked: Tokens compared since it was last asked for: see `take_checked`.
    """

    def __init__(self, engine: Engine, oracle: Engine, share: float = SHARE) -> None:
        self.name = engine.name
        self._engine = engine
        self._oracle = oracle
        self._share = share
        self.tokens_checked = 0

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts and checks some: see `engines.Engine.encode`.

        Raises:
            JobError: The engine gave other ids than `tokenizers`.
        """
        ids = self._engine.encode(texts)
        # What is sampled depends on the texts alone, so that a retry looks at the same rows.
        generator = np.random.default_rng([len(texts), int(ids.offsets[-1])])
        rows = np.flatnonzero(generator.random(len(texts)) < self._share)
        if len(rows):
            sample = texts.take(pa.array(rows))
            short = pc.binary_length(sample).to_numpy() <= LONGEST
            self._compare(sample.filter(pa.array(short)), ids.take(rows[short]))
        return ids

    def _compare(self, texts: Any, ids: Ragged) -> None:
        expected = self._oracle.encode(texts)
        if not (
            np.array_equal(expected.offsets, ids.offsets)
            and np.array_equal(expected.values[: expected.offsets[-1]], ids.values[: ids.offsets[-1]])
        ):
            differs = [i for i, (a, b) in enumerate(zip(expected.tolist(), ids.tolist(), strict=True)) if a != b]
            text = texts[differs[0]].as_py()
            raise JobError(
                f"tokenize.engine: {self.name} gave other ids than tokenizers for {text[:200]!r}; run the job again "
                "with --set tokenize.engine=tokenizers, and please report this text"
            )
        self.tokens_checked += int(ids.offsets[-1])

    def take_checked(self) -> int:
        """Hands out how many tokens were compared since the last call."""
        checked, self.tokens_checked = self.tokens_checked, 0
        return checked
