"""Templates of special tokens, read off tokenizers of every family."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from transforms.arrays.errors import ConfigError
from transforms.arrays.ragged import Ragged
from transforms.arrays.template import Piece, Slices, Template, probe

A, B = Piece(None, 0, 0), Piece(None, 1, 1)
TEXTS = ["", "a", "d e f", "[SEP] a <s>", "unheard of"]


def words(post_processor: Any = None, **changes: Any) -> Tokenizer:
    """A tokenizer of a few words."""
    vocabulary = {"<s>": 0, "</s>": 1, "[CLS]": 2, "[SEP]": 3, "[UNK]": 4} | {w: 5 + k for k, w in enumerate("abcdef")}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<s>", "</s>", "[CLS]", "[SEP]"])
    if post_processor is not None:
        tokenizer.post_processor = post_processor
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    return tokenizer


def template_processing(single: str, pair: str) -> Any:
    specials = [(name, k) for k, name in enumerate(["<s>", "</s>", "[CLS]", "[SEP]"])]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=specials)


ROBERTA = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
FAMILIES = {
    "bert": (
        processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
        (Piece(2, None, 0), A, Piece(3, None, 0)),
        (Piece(2, None, 0), A, Piece(3, None, 0), B, Piece(3, None, 1)),
    ),
    "roberta": (
        ROBERTA,
        (Piece(0, None, 0), A, Piece(1, None, 0)),
        (Piece(0, None, 0), A, Piece(1, None, 0), Piece(1, None, 0), Piece(None, 1, 0), Piece(1, None, 0)),
    ),
    "none": (None, (A,), (A, B)),
    "bytes alone": (processors.ByteLevel(trim_offsets=True), (A,), (A, B)),
    "llama": (
        template_processing("<s> $A", "<s> $A <s>:1 $B:1"),
        (Piece(0, None, 0), A),
        (Piece(0, None, 0), A, Piece(0, None, 1), B),
    ),
    "llama 3, a sequence": (
        processors.Sequence([processors.ByteLevel(), template_processing("<s> $A", "<s> $A <s>:1 $B:1")]),
        (Piece(0, None, 0), A),
        (Piece(0, None, 0), A, Piece(0, None, 1), B),
    ),
    "t5": (
        template_processing("$A </s>", "$A </s> $B </s>"),
        (A, Piece(1, None, 0)),
        (A, Piece(1, None, 0), Piece(None, 1, 0), Piece(1, None, 0)),
    ),
    "types of 2": (
        template_processing("[CLS]:2 $A:2 [SEP]:2", "[CLS]:2 $A:2 [SEP]:2 $B:1 [SEP]:1"),
        (Piece(2, None, 2), Piece(None, 0, 2), Piece(3, None, 2)),
        (Piece(2, None, 2), Piece(None, 0, 2), Piece(3, None, 2), B, Piece(3, None, 1)),
    ),
    "second text first": (
        template_processing("$A [SEP]", "$B:1 [SEP]:1 $A [SEP]"),
        (A, Piece(3, None, 0)),
        (B, Piece(3, None, 1), A, Piece(3, None, 0)),
    ),
    "specials in a row": (
        template_processing("[SEP] [SEP] $A", "[SEP] [SEP] $A [SEP] [SEP] $B:1"),
        (Piece(3, None, 0), Piece(3, None, 0), A),
        (Piece(3, None, 0), Piece(3, None, 0), A, Piece(3, None, 0), Piece(3, None, 0), B),
    ),
}


def rows(tokenizer: Tokenizer, template: Template, texts: list[tuple[str, ...]], *, special: bool) -> list[Any]:
    """Puts texts into a template: ids, types and marks of each row."""
    ids = [[tokenizer.encode(row[k], add_special_tokens=False).ids for row in texts] for k in range(len(texts[0]))]
    contents = [Ragged.of(part) for part in ids]
    lengths = [content.lengths for content in contents]
    assembled = template.assemble([Slices.whole(content) for content in contents])
    types = Ragged(assembled.offsets, template.token_type_ids(lengths)).tolist()
    marks = Ragged(assembled.offsets, template.special_tokens_mask(lengths)).tolist()
    return list(zip(assembled.tolist(), types, marks, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pair", [False, True], ids=["single", "pair"])
def test_the_template_of_a_family_is_found_and_gives_the_library_s_rows(family, pair):
    post_processor, single, both = FAMILIES[family]
    tokenizer = words(post_processor)
    template = probe(tokenizer, pair=pair)
    assert template.pieces == (both if pair else single)
    texts: list[tuple[str, ...]] = [(a, b) for a in TEXTS for b in TEXTS] if pair else [(a,) for a in TEXTS]
    theirs = [tokenizer.encode(*row) for row in texts]
    expected = [(e.ids, e.type_ids, e.special_tokens_mask) for e in theirs]
    assert rows(tokenizer, template, texts, special=True) == expected


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pair", [False, True], ids=["single", "pair"])
def test_without_special_tokens_there_are_none_and_types_are_still_the_library_s(family, pair):
    tokenizer = words(FAMILIES[family][0])
    template = probe(tokenizer, pair=pair, add_special_tokens=False)
    assert template.specials == 0
    texts: list[tuple[str, ...]] = [(a, b) for a in TEXTS for b in TEXTS] if pair else [(a,) for a in TEXTS]
    theirs = [tokenizer.encode(*row, add_special_tokens=False) for row in texts]
    expected = [(e.ids, e.type_ids, e.special_tokens_mask) for e in theirs]
    assert rows(tokenizer, template, texts, special=False) == expected


def test_a_separator_that_stands_in_the_text_is_content():
    tokenizer = words(FAMILIES["bert"][0])
    ((ids, _, marks),) = rows(tokenizer, probe(tokenizer, pair=False), [("a [SEP] b",)], special=True)
    assert ids == [2, 5, 3, 6, 3]
    assert marks == [1, 0, 0, 0, 1]


def test_templates_of_real_tokenizers_are_found(any_tokenizer):
    tokenizer = any_tokenizer.load()
    for pair in (False, True):
        template = probe(tokenizer, pair=pair)
        assert template.specials == tokenizer.num_special_tokens_to_add(pair)


@pytest.mark.parametrize(
    ("single", "pair"),
    [
        ("$A", "$A $A $B"),  # a text that stands there twice
        ("$A", "$A"),  # one that is left out
    ],
)
def test_a_post_processor_that_repeats_or_loses_a_text_is_no_template(single, pair):
    tokenizer = words()
    piece = {"A": {"Sequence": {"id": "A", "type_id": 0}}, "B": {"Sequence": {"id": "B", "type_id": 0}}}
    spec = {
        "type": "TemplateProcessing",
        "single": [piece[name[1]] for name in single.split()],
        "pair": [piece[name[1]] for name in pair.split()],
        "special_tokens": {},
    }
    text = json.dumps(json.loads(tokenizer.to_str()) | {"post_processor": spec})
    tokenizer = Tokenizer.from_str(text)
    assert probe(tokenizer, pair=False).pieces == (A,)
    with pytest.raises(ConfigError, match=r"^tokenize\.tokenizer: its post-processor is no template: "):
        probe(tokenizer, pair=True)


def test_a_tokenizer_whose_marks_depend_on_the_text_is_refused_with_the_text_that_shows_it():
    # Its normalizer sees the whole text, and puts a separator of its own before a "b" alone.
    tokenizer = words(FAMILIES["bert"][0], normalizer=normalizers.Replace("b", "[SEP] b"))
    assert probe(tokenizer, pair=False).specials == 2  # what a normalizer adds is content

    class Moody:
        """Gives an empty text no special tokens."""

        def encode(self, text: str, pair: str | None = None, add_special_tokens: bool = True) -> Any:
            return tokenizer.encode(text, pair, add_special_tokens=add_special_tokens and bool(text))

    with pytest.raises(ConfigError, match=r"no template: \(''.*add_special_tokens: false") as error:
        probe(Moody(), pair=False)
    assert "\n" not in str(error.value)


def test_a_vocabulary_without_latin_letters_is_probed_all_the_same():
    tokenizer = Tokenizer(models.BPE({"漢": 0, "字": 1, "[CLS]": 2, "[SEP]": 3}, []))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    assert tokenizer.encode("a", add_special_tokens=False).ids == []
    assert probe(tokenizer, pair=False).pieces == FAMILIES["bert"][1]
    assert probe(tokenizer, pair=True).pieces == FAMILIES["bert"][2]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=6), st.sampled_from(sorted(FAMILIES)))
@settings(max_examples=60, deadline=None)
def test_rows_of_a_template_are_those_built_piece_by_piece(sizes, family):
    template = Template(FAMILIES[family][2])
    first, second = (Ragged.of([[100 * (k + 1) + i for i in range(s[k])] for s in sizes]) for k in (0, 1))
    lengths = [first.lengths, second.lengths]
    expected = []
    for n1, n2 in sizes:
        row = []
        for piece in template.pieces:
            content = (
                [(100 * (piece.sequence + 1) + i) for i in range((n1, n2)[piece.sequence])]
                if piece.special is None
                else [piece.special]
            )
            row += [(token, piece.type_id, int(piece.special is not None)) for token in content]
        expected.append(row)
    assembled = template.assemble([Slices.whole(first), Slices.whole(second)])
    assert assembled.tolist() == [[cell[0] for cell in row] for row in expected]
    assert template.token_type_ids(lengths).tolist() == [cell[1] for row in expected for cell in row]
    assert template.special_tokens_mask(lengths).tolist() == [cell[2] for row in expected for cell in row]
    assert template.has_types == any(piece.type_id for piece in template.pieces)


def test_contents_are_slices_anywhere_in_a_flat_array():
    template = Template((Piece(9, None, 0), A))
    values = np.arange(10, dtype=np.int32)
    rows = template.assemble([Slices(values, np.array([7, 0, 3]), np.array([2, 0, 1]))])
    assert rows.tolist() == [[9, 7, 8], [9], [9, 3]]
    assert rows.values.dtype == np.int32
