"""The package gigatoken: the fastest engine there is for BPE, kept to what it does right and to a bound."""

from __future__ import annotations

import ctypes
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from transforms.arrays.characters import CharacterFinder, young_characters
from transforms.arrays.errors import JobError, NotInstalled, Refusal
from transforms.arrays.plain import TokenizersEngine
from transforms.arrays.ragged import Ragged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

CACHE_BYTES = 256 << 20  # that the process may grow by before what gigatoken remembers is thrown away
SLICE_BYTES = 16 << 20  # of text between two looks at the memory: random words cost up to 14 bytes a byte
BYTES_A_BYTE = 16  # that it may hold for a byte of text, at the most
STATM = Path("/proc/self/statm")

# How a Split is told to keep all text: the expressions that gigatoken knows match every character.
KEEPS_ALL = (("Isolated", False), ("Removed", True))


class GigatokenEngine:
    """Encodes with gigatoken, on one thread: for BPE, byte-level or with byte fallback.

    What it refuses beyond what gigatoken refuses itself, gigatoken takes and gives other ids for. It remembers every
    pre-token it meets and forgets none, so it is made anew when the process has grown by a bound; ids are the same
    before and after.

    Args:
        tokenizer: Without truncation and padding.
        cache_bytes: The bound.

    Attributes:
        made: How often gigatoken's tokenizer was made so far.

    Raises:
        Refusal: It does not take the tokenizer, or its memory cannot be watched here.
        NotInstalled: The package is not there.
    """

    name = "gigatoken"
    extra = "fast"  # of Oblong, that brings the package
    # It is some 100 times as fast as what checks it: at the share of other engines that would be a fifth of the time.
    checked_share = 1 / 4000

    def __init__(self, tokenizer: Tokenizer, cache_bytes: int = CACHE_BYTES) -> None:
        spec = json.loads(tokenizer.to_str())
        refuse_what_differs(spec)
        self._load, self._strings = _packages()
        if not STATM.exists():
            raise Refusal(f"its memory cannot be watched here: there is no {STATM}")
        # Byte fallback goes by no table of characters.
        self._young = None
        if not spec["model"]["byte_fallback"]:
            self._young = CharacterFinder(young_characters(bool(spec["normalizer"])))
        self._tokenizer = tokenizer
        self._cache_bytes = cache_bytes
        self._plain = TokenizersEngine(tokenizer)
        self.made = 0
        self._make()

    def _make(self) -> None:
        self._giga: Any = None  # before the next, so that there are never two
        _give_back()
        try:
            self._giga = self._load(self._tokenizer.to_str())
        except (RuntimeError, ValueError) as error:
            raise Refusal(f"gigatoken says: {str(error).splitlines()[0]}") from None
        self.made += 1
        self._base, self._met = private_bytes(), 0

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts without special tokens: see `engines.Engine.encode`."""
        texts.validate(full=True)  # gigatoken trusts that it is UTF-8; this is 30 times as fast as gigatoken
        offsets, data = _text_buffers(texts)
        if offsets[0] == offsets[-1]:
            return Ragged(np.zeros(len(offsets), np.int64), np.zeros(0, np.int32))
        marks = np.arange(offsets[0] + SLICE_BYTES, offsets[-1], SLICE_BYTES)
        edges = np.unique([0, *np.searchsorted(offsets, marks).tolist(), len(texts)])  # int64 [slices + 1]
        parts = [self._encode(offsets[a : b + 1], data) for a, b in pairwise(edges.tolist())]
        return parts[0] if len(parts) == 1 else Ragged.concatenate(parts)

    def _encode(self, offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> Ragged:
        # Other steps make the process grow too; what gigatoken can have grown by goes by the text it met.
        if self._met * BYTES_A_BYTE > self._cache_bytes and private_bytes() > self._base + self._cache_bytes:
            try:
                self._make()
            except Refusal as error:
                raise JobError(f"tokenize.engine: gigatoken could not be made anew: {error}") from error
        self._met += int(offsets[-1] - offsets[0])
        layout = self._giga.encode_batch(self._strings(offsets, data), parallel=False).layout
        ids = Ragged(layout.offsets.data, layout.content.data.view(np.int32))
        if self._young is None:
            return ids
        found = self._young.find(data[offsets[0] : offsets[-1]]) + offsets[0]
        return self._correct(ids, offsets, data, found) if len(found) else ids

    def _correct(
        self, ids: Ragged, offsets: NDArray[np.int64], data: NDArray[np.uint8], found: NDArray[np.int64]
    ) -> Ragged:
        """Has `tokenizers` encode the rows with characters that the two may read differently."""
        rows = np.unique(np.searchsorted(offsets, found, "right") - 1)  # int64 [rows with such characters]
        texts = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
        return ids.with_rows(rows, self._plain.encode(texts.take(pa.array(rows))))


def _packages() -> tuple[Any, Any]:
    """Imports gigatoken and awkward, which take 0.15 s, only where they are wanted.

    Returns:
        What makes a tokenizer of a tokenizer.json; and what makes an awkward array of strings of int64 offsets and
        uint8 bytes, without a copy.
    """
    try:
        import awkward
        from gigatoken.gigatoken_rs import load_hf_json
    except ImportError as error:
        raise NotInstalled("pip install 'oblong[fast]'") from error

    def strings(offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> Any:
        contents = awkward.contents
        characters = contents.NumpyArray(data, parameters={"__array__": "char"})
        index = awkward.index.Index64(offsets)
        return awkward.Array(contents.ListOffsetArray(index, characters, parameters={"__array__": "string"}))

    return load_hf_json, strings


def _text_buffers(texts: Any) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The offsets of an Arrow string array, int64 [rows + 1], and the bytes that they count in, uint8 [bytes]."""
    if texts.type not in (pa.string(), pa.large_string()):
        texts = texts.cast(pa.large_string())
    if not len(texts):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, offset_buffer, data_buffer = texts.buffers()
    width = np.int64 if texts.type == pa.large_string() else np.int32
    offsets = np.frombuffer(offset_buffer, width)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer else np.zeros(0, np.uint8)
    return offsets.astype(np.int64, copy=False), data


def private_bytes() -> int:
    """Says how much memory the process holds for itself, mapped files left out.

    Returns:
        Bytes.
    """
    _, resident, shared, *_ = STATM.read_text().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _give_back() -> None:
    """Has the C library give freed memory back; else the next tokenizer would begin where the last one ended."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)


def refuse_what_differs(spec: dict[str, Any]) -> None:
    """Refuses what gigatoken would take and give other ids for.

    Args:
        spec: tokenizer.json, parsed.

    Raises:
        Refusal: With the reason.
    """
    model = spec["model"]
    if model["type"] != "BPE":
        raise Refusal(f"its model is {model['type']}, not BPE")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Refusal(f"its model has {key} {model[key]!r}")
    for token in spec["added_tokens"]:
        for flag in ("lstrip", "rstrip", "single_word"):
            if token[flag]:
                raise Refusal(f"its added token {token['content']!r} looks at its neighbours ({flag})")
    if model.get("byte_fallback"):
        _refuse_missing_bytes(model["vocab"])
        if "Precompiled" in json.dumps(spec["normalizer"]):
            raise Refusal("its normalizer goes by a table of characters (Precompiled)")
    else:
        _refuse_pre_tokenizer(spec["pre_tokenizer"])
        _refuse_normalized(spec)


def _refuse_missing_bytes(vocab: dict[str, int]) -> None:
    missing = [byte for byte in range(256) if f"<0x{byte:02X}>" not in vocab and (byte > 127 or chr(byte) not in vocab)]
    if missing:
        raise Refusal(f"its vocabulary has neither the byte <0x{missing[0]:02X}> nor its character")


def _refuse_pre_tokenizer(node: dict[str, Any] | None) -> None:
    """Takes ByteLevel that splits, or Splits and ByteLevel that does not."""
    parts = _parts(node)
    if not parts or parts[-1]["type"] != "ByteLevel":
        raise Refusal("its pre-tokenizer is not ByteLevel")
    *splits, last = parts
    odd = [part for part in splits if part["type"] != "Split" or (part["behavior"], part["invert"]) not in KEEPS_ALL]
    if odd:
        raise Refusal(f"its pre-tokenizer has a part that gigatoken passes over: {odd[0]['type']}")
    if last.get("use_regex", True) == bool(splits) or (splits and last["add_prefix_space"]):
        raise Refusal("its pre-tokenizer splits, or adds a space, where gigatoken does not")


def _refuse_normalized(spec: dict[str, Any]) -> None:
    """Refuses added tokens for whom it matters that they are looked for in the normalized text, or second."""
    tokens = spec["added_tokens"]
    second = [token["content"] for token in tokens if token["normalized"]]
    if second and spec["normalizer"]:
        raise Refusal(f"its added token {second[0]!r} is looked for in the normalized text (normalized)")
    first = [token["content"] for token in tokens if not token["normalized"]]
    for content in second:
        for other in first:
            if _overlap(content, other):
                raise Refusal(f"its added token {content!r} (normalized) overlaps {other!r}, which is looked for first")


def _overlap(one: str, other: str) -> bool:
    """Whether some text has the one and the other with a character in common."""
    if one in other or other in one:
        return True
    sizes = range(1, min(len(one), len(other)))
    return any(one.endswith(other[:size]) or other.endswith(one[:size]) for size in sizes)


def _parts(node: dict[str, Any] | None) -> Sequence[dict[str, Any]]:
    """A pre-tokenizer's parts, its Sequences taken apart."""
    if not node:
        return []
    if node["type"] == "Sequence":
        return [part for inner in node["pretokenizers"] for part in _parts(inner)]
    return [node]
