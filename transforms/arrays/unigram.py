"""Unigram for many words at once: what `tokenizers` gives for them one by one.

A word is symbols: perhaps the mark that stands for a blank, then printable ASCII characters. The tokens that
stand in the words are found in a trie, from all places at once; then the best path is followed from symbol to
symbol, for all words at once.

Source: `encode_optimized` in tokenizers/src/models/unigram/model.rs of huggingface/tokenizers. Scores are added
in its order and compared as there, so that rounding and ties come out the same.
"""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from transforms.arrays.cutter import blanks_like_a_space
from transforms.arrays.errors import Refusal
from transforms.arrays.families import LOCAL, normalizer_parts, pre_tokenizer_parts
from transforms.arrays.ragged import Ragged, offsets_of
from transforms.arrays.trie import BEGIN, NOWHERE, Trie

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

MARK = "\u2581"  # what Metaspace makes of a blank
PRINTABLE = string.digits + string.ascii_letters + string.punctuation
OTHER, FIRST, SYMBOLS = 0, 1, 96  # symbols: what no word has; the mark, in the place of ASCII's blank; all of them
UNK_PENALTY = 10.0  # an unknown character scores so much less than the least of the vocabulary
LONGEST = 48  # bytes of a piece that is taken
BLANKS = " {2,}"  # the one expression that a normalizer may replace: simple pieces have no run of blanks
GROUP = 2048  # words at a time: fewer take more time, more take more memory
CODES = bytes(byte - ord(" ") + FIRST if " " <= chr(byte) <= "~" else OTHER for byte in range(256))
SPLITTERS = (["Metaspace"], ["WhitespaceSplit"], ["WhitespaceSplit", "Metaspace"])


class UnigramWords:
    """Encodes simple pieces, many at once: printable ASCII, with or without one blank before it.

    A blank is a space, or what the tokenizer takes for one.

    Args:
        tokenizer: Without truncation and padding.

    Raises:
        Refusal: Its model is not Unigram, or what it makes of simple pieces is not simple.

    >>> import pyarrow as pa
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("\u2581", -2.0), ("a", -2.0), ("\u2581a", -3.0)], 0))
    >>> tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    >>> taken, ids = UnigramWords(tokenizer).encode(pa.array([" a", "aab", "two words"]))
    >>> taken.tolist(), ids.tolist()
    ([True, True, False], [[3], [3, 2, 0], []])
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        spec = json.loads(tokenizer.to_str())
        _check(tokenizer, spec)
        self._symbol, self._marked = _ask(tokenizer)
        self._blank = np.zeros(256, bool)
        self._blank[list(f" {blanks_like_a_space(tokenizer)}".encode())] = True
        self._contents = "|".join(map(re.escape, sorted(_contents(tokenizer, spec))))
        vocabulary = spec["model"]["vocab"]
        scores = np.array([score for _, score in vocabulary], np.float64)  # [tokens]
        self._unk_id, self._unk_score = spec["model"]["unk_id"], scores.min() - UNK_PENALTY
        if not (-1e300 < self._unk_score < 0 and scores.max() < 1e300):  # sums of more could be infinite
            # Where unknown characters can be worth more than a token, `tokenizers` looks them up as one text.
            raise Refusal("the scores of its vocabulary are not logarithms of probabilities")
        self._trie = _grow([token for token, _ in vocabulary])
        self._trie.ids[NOWHERE] = self._unk_id  # a character that is no token
        self._scores, self._longest = _scores_of_nodes(self._trie, scores), max(1, int(self._trie.longest.max()))
        room = self._longest * (LONGEST + 1) * GROUP
        self._room = np.empty(room), np.empty(room, np.int32)  # used again and again: new memory costs more than work

    def encode(self, pieces: Any) -> tuple[NDArray[np.bool_], Ragged]:
        """Encodes the simple ones of some pieces, without special tokens.

        Args:
            pieces: An Arrow string array without nulls.

        Returns:
            Which pieces were taken, bool [pieces]; and the ids of each, int32, an empty row for one that was not.
        """
        taken = np.zeros(len(pieces), bool)
        _, offset_buffer, data_buffer = pieces.buffers()
        if not len(pieces) or not data_buffer:
            return taken, Ragged.of([[]] * len(pieces))
        offsets = np.frombuffer(offset_buffer, np.int32)[pieces.offset : pieces.offset + len(pieces) + 1]
        data = np.frombuffer(data_buffer, np.uint8)
        sizes = np.diff(offsets)  # int32 [pieces]: of each in bytes
        blank = self._blank.take(data.take(offsets[:-1], mode="clip"))  # bool [pieces]; anything for an empty one
        marked = self._marked[blank.view(np.uint8)]
        sizes = np.where((sizes > blank) & (sizes <= LONGEST), sizes - blank + marked, 0)  # in symbols; 0: not simple
        sizes[pc.match_substring_regex(pieces, self._contents, ignore_case=True).to_numpy(zero_copy_only=False)] = 0
        starts = offsets[:-1].astype(np.int64) + blank - marked  # the mark has the place before the word
        order = np.argsort(sizes.astype(np.uint8), kind="stable")  # words of like sizes together
        order = order[np.count_nonzero(sizes == 0) :]
        rows, parts = np.full(len(pieces), -1), [Ragged.of([])]  # int64: of the piece in the parts; -1 is an empty one
        for begin in range(0, len(order), GROUP):
            some = order[begin : begin + GROUP]
            place = np.arange(sizes[some[-1]])[:, None]
            symbols = self._symbol.take(data.take(starts[some] + place, mode="clip"))  # uint8 [longest, words]
            symbols[0, marked[some]] = FIRST
            symbols[place >= sizes[some]] = OTHER
            simple = (symbols != OTHER).sum(axis=0) == sizes[some]
            some, symbols = some[simple], symbols[:, simple]
            taken[some] = True
            rows[some] = np.arange(len(some)) + sum(part.rows for part in parts)
            parts.append(self._encode_words(symbols, sizes[some]))
        return taken, Ragged.concatenate([*parts, Ragged.of([[]])]).take(rows)

    def _encode_words(self, symbols: NDArray[np.uint8], ends: NDArray[np.int32]) -> Ragged:
        """Encodes words: symbols, uint8 [longest, words], and how many of them each word has, int32 [words]."""
        longest, words = symbols.shape
        scores, nodes = self._find_tokens(symbols)
        best = np.zeros((longest + 1, words))  # float64: of the best path to each place
        last = np.zeros((longest + 1, words), np.int64)  # the size of its last token
        flat, every = scores.reshape(len(scores) * longest, words), np.arange(words)
        for end in range(1, longest + 1):
            sizes = min(end, len(scores))
            # A token that is longer by one begins one place before: in a flat view, longest - 1 rows further.
            ending = flat[end - 1 :: max(1, longest - 1)][:sizes]  # float64 [sizes, words]
            paths = ending[::-1] + best[end - sizes : end]
            choice = paths.argmax(axis=0)  # of equal ones the first, which has the longest token
            best[end] = paths[choice, every]
            last[end] = sizes - choice
        tokens = np.full((words, longest), -1, np.int32)  # where one begins, its id
        word, place = every, ends
        while len(word):
            size = last[place, word]
            place = place - size
            tokens[word, place] = self._trie.ids[nodes[size - 1, place, word]]
            more = place > 0
            word, place = word[more], place[more]
        unknown = tokens == self._unk_id
        tokens[:, 1:][unknown[:, 1:] & unknown[:, :-1]] = -1  # unknown characters in a row are one token
        found = tokens >= 0
        return Ragged(offsets_of(found.sum(axis=1)), tokens[found])

    def _find_tokens(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Finds the tokens that stand in words: symbols, uint8 [longest, words].

        Returns:
            By the token's size - 1, place and word, [sizes, longest, words]: its score, float64, -inf for none; and
            its node, int32.
        """
        longest, words = symbols.shape
        sizes = min(self._longest, longest)
        shape = (sizes, longest, words)
        scores, nodes = (room[: sizes * longest * words].reshape(shape) for room in self._room)
        scores.fill(-np.inf)
        text = np.append(symbols.ravel(), np.zeros(sizes * words, np.uint8)).astype(np.int64)
        place: NDArray[np.int64] = np.arange(longest * words)
        node: NDArray[Any] = np.full(longest * words, BEGIN)
        for size in range(sizes):
            node = self._trie.steps.take(node.astype(np.int64) * SYMBOLS + text.take(place + size * words))
            alive = np.flatnonzero(node)
            place, node = place.take(alive), node.take(alive)
            scores[size].ravel()[place] = self._scores.take(node)
            nodes[size].ravel()[place] = node
        unknown = np.isneginf(scores[0])
        scores[0, unknown], nodes[0, unknown] = self._unk_score, NOWHERE
        return scores, nodes


def _grow(tokens: list[str]) -> Trie:
    """Makes the trie of the tokens that can stand in a word; of equal tokens the last counts."""
    simple = re.compile(f"({MARK}|[!-~])[!-~]{{0,{LONGEST}}}")
    ids = {token: i for i, token in enumerate(tokens) if simple.fullmatch(token)}
    spelled = [token.replace(MARK, " ").encode().translate(CODES) for token in ids]
    return Trie.of(np.full(len(ids), BEGIN), spelled, np.array(list(ids.values()), np.int32), SYMBOLS)


def _scores_of_nodes(trie: Trie, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives each node the score of the token that ends there, -inf for none, float64 [nodes]; scores of all tokens."""
    edges = np.flatnonzero(trie.steps)
    nodes = trie.steps[edges]
    ends = nodes[trie.longest[nodes] > trie.longest[edges // trie.width]]  # where the longest is a longer one
    of_nodes = np.full(len(trie.ids), -np.inf)
    of_nodes[ends] = scores[trie.ids[ends]]
    return of_nodes


def _check(tokenizer: Tokenizer, spec: dict[str, Any]) -> None:
    """Refuses a tokenizer whose ids are not those of the best path, or that may change a word as a whole."""
    model, known = spec["model"], LOCAL | {"Precompiled", "Replace"}
    expressions = [(part["type"], part.get("pattern", {}).get("Regex", BLANKS)) for part in normalizer_parts(spec)]
    other = [kind for kind, expression in expressions if kind not in known or expression != BLANKS]
    splitters = [part["type"] for part in pre_tokenizer_parts(spec)]
    for wrong, reason in (
        (model["type"] != "Unigram", f"its model is {model['type']}, not Unigram"),
        (model.get("byte_fallback"), "its model falls back to bytes"),
        (model.get("unk_id", -1) is None, "its model has no unknown token"),
        (getattr(tokenizer.model, "alpha", None), "its model draws paths at random (alpha)"),
        (other, f"its normalizer {' and '.join(other)} may change words as a whole"),
        (splitters not in SPLITTERS, f"its pre-tokenizer is {' and '.join(splitters) or None}, not {SPLITTERS}"),
    ):
        if wrong:
            raise Refusal(reason)


def _contents(tokenizer: Tokenizer, spec: dict[str, Any]) -> set[str]:
    """What a piece must not have in it: added tokens, the unknown token, and what the normalizer replaces."""
    added = tokenizer.get_added_tokens_decoder().values()
    contents = {token.content for token in added}
    if tokenizer.normalizer is not None:
        contents |= {tokenizer.normalizer.normalize_str(token.content) for token in added if token.normalized}
    contents.add(spec["model"]["vocab"][spec["model"]["unk_id"]][0].removeprefix(MARK))
    return contents | {
        part["pattern"]["String"] for part in normalizer_parts(spec) if "String" in part.get("pattern", ())
    }


def _ask(tokenizer: Tokenizer) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Asks a tokenizer what becomes of simple pieces.

    Returns:
        The symbol of each byte, uint8 [256]; and whether a mark comes before a word that has no blank before it,
        and before one that has, bool [2].
    """

    def prepared(text: str) -> list[str]:
        normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer is not None else text
        return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    marked = [prepared(before + "0") == [MARK + "0"] for before in ("", " ")]
    become = "".join(("".join(prepared(character)) or "?")[-1] for character in PRINTABLE)
    for before, mark in zip(("", " "), marked, strict=True):
        for text, expected in zip([*PRINTABLE, PRINTABLE], [*become, become], strict=True):
            if prepared(before + text) != [MARK * mark + expected] or not set(expected) <= set(PRINTABLE):
                raise Refusal(f"its normalizer and pre-tokenizer make {prepared(before + text)} of {before + text!r}")
    symbol = np.full(256, OTHER, np.uint8)
    symbol[list(PRINTABLE.encode())] = np.frombuffer(become.encode().translate(CODES), np.uint8)
    return symbol, np.array(marked)
