import numpy as np
import pytest

from transforms.arrays import trie
from transforms.arrays.errors import Refusal
from transforms.arrays.trie import BEGIN, MIDDLE, Trie

A, B, C = 1, 2, 3
TOKENS = [(BEGIN, bytes([A])), (BEGIN, bytes([A, B])), (MIDDLE, bytes([B])), (BEGIN, bytes([A, B, C, A])), (BEGIN, b"")]


def made():
    roots, tokens = zip(*TOKENS, strict=True)
    return Trie.of(np.array(roots), list(tokens), np.arange(10, 15, dtype=np.int32), width=4)


def walk(codes, root):
    text = np.array([*codes, 0], np.uint8)
    found, lengths = made().walk(text, np.array([0]), np.array([root]))
    return int(found[0]), int(lengths[0])


@pytest.mark.parametrize(
    ("codes", "root", "found"),
    [
        ([A], BEGIN, (10, 1)),
        ([A, B], BEGIN, (11, 2)),
        ([A, B, C], BEGIN, (11, 2)),  # the way of a longer one that does not come to its end
        ([A, B, C, A, A], BEGIN, (13, 4)),
        ([B], BEGIN, (-1, 0)),
        ([B, B], MIDDLE, (12, 1)),
        ([C], MIDDLE, (-1, 0)),
    ],
)
def test_longest_token_on_the_way_is_found(codes, root, found):
    assert walk(codes, root) == found


def test_many_places_are_walked_at_once_each_from_its_node():
    text = np.array([A, B, 0, B, A, 0], np.uint8)
    found, lengths = made().walk(text, np.array([0, 3, 4]), np.array([BEGIN, MIDDLE, BEGIN]))
    assert (found.tolist(), lengths.tolist()) == ([11, 12, 10], [2, 1, 1])


def test_first_codes_of_words_lead_from_the_root_or_nowhere():
    assert (made().begin(np.array([A, B, 0])) > 0).tolist() == [True, False, False]


def test_empty_trie_finds_nothing():
    empty = Trie.of(np.zeros(0, np.int64), [], np.zeros(0, np.int32), width=4)
    found, lengths = empty.walk(np.array([A, 0], np.uint8), np.array([0]), np.array([BEGIN]))
    assert (found.tolist(), lengths.tolist()) == ([-1], [0])


def test_table_that_takes_too_much_memory_is_refused(monkeypatch):
    monkeypatch.setattr(trie, "TRIE_BYTES", 100)
    with pytest.raises(Refusal, match="the trie of its vocabulary takes 128 bytes, more than 100"):
        made()
