"""WordPiece of many pieces at once: the longest known token first, found in a trie that all words walk in step.

Source: the model WordPiece and the pre-tokenizer BertPreTokenizer of `tokenizers`; the ids are the same.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import numpy as np

from transforms.arrays.errors import Refusal
from transforms.arrays.families import find_family
from transforms.arrays.ragged import Ragged, offsets_of, spans
from transforms.arrays.trie import BEGIN, MIDDLE, Trie

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

BLANKS = " \t\r\n"
ALPHABET = string.digits + string.ascii_lowercase + string.ascii_uppercase
# Codes of bytes: 0 a blank, 1 to WIDTH - 1 what words are made of, then marks, of which each is a word by itself.
WIDTH = 1 + len(ALPHABET)
MARKS = string.punctuation
OTHER = WIDTH + len(MARKS)  # anything else: `tokenizers` knows about it


class WordPieceWords:
    r"""Finds the ids of simple pieces, the frequent kind: words and marks of ASCII, with blanks between.

    Args:
        tokenizer: Of the family "bert": the model WordPiece, words cut by BertPreTokenizer, and normalizers that
            change nothing in ASCII but the case.

    Raises:
        Refusal: The tokenizer is of another family, its vocabulary has no token for unknown words, or an added token
            is empty once it is normalized.

    >>> import pyarrow as pa
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "wa": 1, "##ter": 2}, unk_token="[UNK]"))
    >>> tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    >>> taken, ids = WordPieceWords(tokenizer).encode(pa.array(["water", " wax", "na\u00efve"]))
    >>> taken.tolist(), ids.tolist()
    ([True, True, False], [[1, 2], [0], []])
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        family = find_family(tokenizer.to_str())
        if family is None or family.name != "bert":
            raise Refusal("it is not WordPiece with BertPreTokenizer and a normalizer that leaves ASCII as it is")
        model, vocab = tokenizer.model, tokenizer.get_vocab(with_added_tokens=False)
        if model.unk_token not in vocab:
            raise Refusal(f"its vocabulary has no token {model.unk_token!r} for words it does not know")
        self._unknown = vocab[model.unk_token]
        self._longest_word = model.max_input_chars_per_word
        normalize = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
        table = np.full(256, OTHER, np.uint8)
        table[[ord(c) for c in BLANKS]] = 0
        table[[ord(c) for c in MARKS]] = WIDTH + np.arange(len(MARKS))
        table[[ord(c) for c in ALPHABET]] = [1 + ALPHABET.index(normalize(c)) for c in ALPHABET]
        self._table = table.tobytes()
        marks = vocab if self._longest_word else {}  # of words of no letter at all, even marks are too long
        self._mark_ids = np.array([marks.get(c, self._unknown) for c in MARKS], np.int32)
        self._trie = self._grow(vocab, model.continuing_subword_prefix, {c for c in ALPHABET if normalize(c) == c})
        contents = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        self._added = _trie_of_added({_fold(c.encode()) for content in contents for c in (content, normalize(content))})
        self._added_first = (self._added.begin(np.arange(128)) > 0).tobytes() + bytes(128)

    def _grow(self, vocab: dict[str, int], prefix: str, letters: set[str]) -> Trie:
        """Makes the trie of the tokens that can be met: those made of letters that normalized text has."""
        entries = [(BEGIN, token, i) for token, i in vocab.items()]
        entries += [(MIDDLE, token[len(prefix) :], i) for token, i in vocab.items() if token.startswith(prefix)]
        met = [entry for entry in entries if 0 < len(entry[1]) <= self._longest_word and letters.issuperset(entry[1])]
        roots = np.array([root for root, _, _ in met], np.int64)
        tokens = [token.encode().translate(self._table) for _, token, _ in met]
        width = 2 + max(ALPHABET.index(letter) for letter in letters)
        return Trie.of(roots, tokens, np.array([i for _, _, i in met], np.int32), width)

    def encode(self, pieces: Any) -> tuple[NDArray[np.bool_], Ragged]:
        """Finds the ids of the simple pieces.

        Args:
            pieces: An Arrow string array without nulls, with offsets of 32 bits.

        Returns:
            Which pieces it took, bool [pieces]; the ids of all pieces, int32, none for those it did not take.
        """
        _, offsets, data = pieces.buffers()
        if not len(pieces) or data is None:
            return np.ones(len(pieces), bool), Ragged.of([[]] * len(pieces))
        edges = np.frombuffer(offsets, np.int32)[pieces.offset : pieces.offset + len(pieces) + 1].astype(np.int64)
        text = data[int(edges[0]) : int(edges[-1])].to_pybytes()
        edges -= edges[0]
        # A blank behind all, so that there is something to look at behind the last word.
        codes = np.frombuffer(bytearray(text.translate(self._table) + b"\0"), np.uint8)  # uint8 [bytes + 1]
        other = codes == OTHER
        other[self._find_added(text, edges)] = True
        others = offsets_of(other.view(np.uint8))[edges]  # int64 [pieces + 1]: how many are before each edge
        taken = others[1:] == others[:-1]
        left = np.flatnonzero(~taken)
        codes[spans(edges[left], edges[left + 1] - edges[left])] = 0
        ids = self._ids(codes, edges)
        begins = ids >= 0  # bool [bytes + 1]: where tokens begin
        return taken, Ragged(offsets_of(begins.view(np.uint8))[edges], ids[begins])

    def _find_added(self, text: bytes, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Finds where in pieces an added token could begin, int64 [places]; some are none after all."""
        folded = _fold(text)
        places = np.flatnonzero(np.frombuffer(folded.translate(self._added_first), np.uint8))
        codes = np.frombuffer(bytearray(folded + b"\0"), np.uint8)  # uint8 [bytes + 1]
        first = self._added.begin(codes[places])
        codes[edges] = 0  # no token goes on here
        found, _ = self._added.walk(codes, places + 1, first)
        return places[found >= 0]

    def _ids(self, codes: NDArray[np.uint8], edges: NDArray[np.int64]) -> NDArray[np.int32]:
        """Puts the ids of all words where their tokens begin: int32 [bytes + 1], -1 elsewhere; changes `codes`."""
        ids = np.full(len(codes), -1, np.int32)
        marks = np.flatnonzero(codes >= WIDTH)
        ids[marks] = self._mark_ids[codes[marks] - WIDTH]
        codes[marks] = 0
        letters = codes > 0
        first = letters.copy()
        first[1:] &= ~letters[:-1]
        first[edges] = letters[edges]
        inside = letters & ~first
        begins = np.flatnonzero(first)  # int64 [words]
        ends = np.flatnonzero(letters[:-1] & ~inside[1:]) + 1  # int64 [words]
        self._fill(ids, codes, begins, ends)
        return ids

    def _fill(
        self, ids: NDArray[np.int32], codes: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> None:
        """Puts the ids of words in their places, a token of every word at a time."""
        trie = self._trie
        unknown = ends - begins > self._longest_word  # bool [words]
        words = np.flatnonzero(~unknown)  # those that are not done
        places = begins[words]
        first = trie.begin(codes[places])
        codes[begins] = 0  # no word goes on here, even where two stand side by side
        found, lengths = trie.walk(codes, places + 1, first)
        while len(words):
            ids[places] = found
            unknown[words[found < 0]] = True
            places = places + lengths
            on = np.flatnonzero((found >= 0) & (places < ends[words]))
            words, places = words[on], places[on]
            found, lengths = trie.walk(codes, places, np.full(len(on), MIDDLE))
        begins, ends = begins[unknown], ends[unknown]
        ids[spans(begins, ends - begins)] = -1
        ids[begins] = self._unknown


def _trie_of_added(contents: set[bytes]) -> Trie:
    """Makes a trie of what added tokens look like in folded text, those that simple pieces can have."""
    if b"" in contents:
        raise Refusal("one of its added tokens is empty once it is normalized")
    simple = [content for content in contents if b"\0" not in content]
    return Trie.of(np.full(len(simple), BEGIN), simple, np.zeros(len(simple), np.int32), 128)


_SIMPLE = (string.digits + string.ascii_letters + MARKS).encode()
_FOLDED = bytes(32 if byte in BLANKS.encode() else byte if byte in _SIMPLE else 0 for byte in range(256)).lower()


def _fold(text: bytes) -> bytes:
    """Makes all blanks spaces, all letters of ASCII small, and what simple pieces do not have zeros."""
    return text.translate(_FOLDED)
