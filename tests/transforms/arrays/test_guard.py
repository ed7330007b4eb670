import pyarrow as pa
import pytest

from tests.transforms.arrays.tokenizers_of_families import made
from transforms.arrays.engines import TokenizersEngine, encode_or_bisect
from transforms.arrays.errors import JobError
from transforms.arrays.giga import GigatokenEngine
from transforms.arrays.guard import SHARE, Guard
from transforms.arrays.pieces import PiecesEngine


class Wrong:
    """An engine that gives one token in `every` another id."""

    name = "wrong"

    def __init__(self, tokenizer, every):
        self._right = TokenizersEngine(tokenizer)
        self._every = every

    def encode(self, texts):
        ids = self._right.encode(texts)
        values = ids.values.copy()
        values[:: self._every] += 1
        return ids._replace(values=values)


def batch(rows):
    return pa.array([f"row {i} of some words that differ {i * 7919}" for i in range(rows)])


@pytest.mark.parametrize(("share", "rows"), [(SHARE, 4000), (GigatokenEngine.checked_share, 40_000)])
def test_engine_that_errs_is_found_when_share_times_rate_times_tokens_is_ten(share, rows):
    tokenizer = made("gpt-2")
    texts = batch(rows)
    tokens = len(TokenizersEngine(tokenizer).encode(texts).values)
    every = int(share * tokens / 10)  # e * s * n = 10: it would pass unseen once in 22,000 times
    with pytest.raises(JobError, match="wrong gave other ids than tokenizers for 'row"):
        Guard(Wrong(tokenizer, every), TokenizersEngine(tokenizer), share).encode(texts)


def test_its_error_is_the_job_s_and_no_row_s():
    tokenizer = made("gpt-2")
    with pytest.raises(JobError):
        encode_or_bisect(Guard(Wrong(tokenizer, 1), TokenizersEngine(tokenizer)), batch(4000))


def test_right_engine_passes_and_the_tokens_checked_are_counted_once():
    tokenizer = made("gpt-2")
    guard = Guard(PiecesEngine(tokenizer), TokenizersEngine(tokenizer), share=0.5)
    texts = batch(100)
    ids = guard.encode(texts)
    assert ids.tolist() == TokenizersEngine(tokenizer).encode(texts).tolist()
    checked = guard.take_checked()
    assert 0.3 * len(ids.values) < checked < 0.7 * len(ids.values)
    assert guard.take_checked() == 0


def test_same_texts_are_sampled_alike():
    tokenizer = made("gpt-2")
    counts = []
    for _ in range(2):
        guard = Guard(PiecesEngine(tokenizer), TokenizersEngine(tokenizer), share=0.3)
        guard.encode(batch(200))
        counts.append(guard.take_checked())
    assert counts[0] == counts[1] > 0


def test_huge_rows_are_not_compared(monkeypatch):
    monkeypatch.setattr("transforms.arrays.guard.LONGEST", 30)
    tokenizer = made("gpt-2")
    oracle = TokenizersEngine(tokenizer)
    guard = Guard(Wrong(tokenizer, 1), oracle, share=1)
    guard.encode(pa.array(["a row of more than thirty bytes of text"]))
    assert guard.take_checked() == 0
    with pytest.raises(JobError, match="for 'short'"):
        guard.encode(pa.array(["a row of more than thirty bytes of text", "short"]))
