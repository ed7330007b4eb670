"""What a tokenizer's files say; where `transformers` says it too, it is asked."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.conftest import TokenizerFolder
from transforms.arrays.errors import ConfigError
from transforms.arrays.facts import pad_token_id, plain_tokenizer, read_facts


def test_facts_of_the_real_tokenizer(bert):
    facts = read_facts(bert.tokenizer_json, bert.config_json)
    assert facts.sha256 == hashlib.sha256(bert.tokenizer_json).hexdigest()
    assert (facts.vocab_size, facts.model_max_length) == (30522, 512)
    assert (facts.truncation_side, facts.padding_side) == ("right", "right")
    assert (facts.pad_token, facts.pad_token_type_id, facts.model_input_names) == ("[PAD]", 0, None)
    assert (facts.single.specials, facts.pair.specials) == (2, 3)
    assert facts.notes == (
        "tokenizer.json truncates to 128: switched off",
        "tokenizer.json pads to 128: switched off",
    )


def test_truncation_and_padding_of_the_file_are_switched_off(bert):
    raw = Tokenizer.from_str(bert.tokenizer_json.decode())
    assert [len(raw.encode("a " * n).ids) for n in (1, 500)] == [128, 128]
    plain = plain_tokenizer(bert.tokenizer_json)
    assert [len(plain.encode("a " * n).ids) for n in (1, 500)] == [3, 502]


def test_a_file_alone_will_do(roberta):
    facts = read_facts(roberta.tokenizer_json)
    assert (facts.model_max_length, facts.pad_token, facts.model_input_names, facts.notes) == (None, None, None, ())
    assert (facts.truncation_side, facts.padding_side) == ("right", "right")


def test_padding_without_a_fixed_length_is_said_as_such(roberta):
    tokenizer = roberta.load()
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    assert read_facts(tokenizer.to_str().encode()).notes == ("tokenizer.json pads to the longest: switched off",)


def test_without_special_tokens_templates_add_none(bert):
    facts = read_facts(bert.tokenizer_json, bert.config_json, add_special_tokens=False)
    assert (facts.single.specials, facts.pair.specials) == (0, 0)


@pytest.mark.parametrize(
    ("written", "maximum"),
    [
        (512, 512),
        (16384, 16384),
        (512.0, 512),
        (1, 1),
        (None, None),
        (int(1e30), None),
        (1e30, None),
        (10**20, 10**20),
        (0, None),
        (-1, None),
        (True, None),
        ("512", None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_the_model_s_maximum_is_what_the_config_says_unless_that_is_no_maximum(roberta, written, maximum):
    config = json.dumps(json.loads(roberta.config_json) | {"model_max_length": written}).encode()
    assert read_facts(roberta.tokenizer_json, config).model_max_length == maximum


@pytest.mark.parametrize(
    ("config", "direction", "sides"),
    [
        ({}, None, ("right", "right")),
        ({"padding_side": "left", "truncation_side": "left"}, None, ("left", "left")),
        ({}, "left", ("left", "left")),
        ({"padding_side": "right", "truncation_side": "right"}, "left", ("right", "right")),
    ],
)
def test_sides_come_from_the_config_else_from_the_file_as_in_transformers(roberta, theirs, config, direction, sides):
    tokenizer = roberta.load()
    if direction:
        tokenizer.enable_truncation(8, direction=direction)
        tokenizer.enable_padding(direction=direction, pad_id=1, pad_token="<pad>")
    files = tokenizer.to_str().encode(), roberta.config(**config)
    facts, loaded = read_facts(*files), theirs(*files)
    assert (facts.truncation_side, facts.padding_side) == sides == (loaded.truncation_side, loaded.padding_side)


def test_a_class_that_pads_on_the_left_does_not_where_tokenizer_json_pads_on_the_right(xlnet, theirs):
    tokenizer = xlnet.load()
    tokenizer.enable_padding(direction="right", pad_id=5, pad_token="<pad>")
    files = tokenizer.to_str().encode(), xlnet.config_json
    assert read_facts(*files).padding_side == "right" == theirs(*files).padding_side


@pytest.mark.parametrize("kind", ["XLNetTokenizer", "PreTrainedTokenizerFast"])
def test_padding_has_type_0_as_in_transformers_and_a_file_that_says_otherwise_is_named(xlnet, theirs, kind):
    files = xlnet.tokenizer_json, xlnet.config(pad_token_type_id=3, tokenizer_class=kind)
    facts = read_facts(*files)
    assert facts.pad_token_type_id == 0 == theirs(*files).pad_token_type_id
    assert facts.notes == ("the type of padding is 0, as in transformers, not the files' pad_token_type_id 3",)


@pytest.mark.parametrize(
    ("tokenizer_json", "config_json", "message"),
    [
        (b"", None, r"^tokenize\.tokenizer: tokenizer\.json does not load: "),
        (b"{}", None, r"^tokenize\.tokenizer: tokenizer\.json does not load: "),
        (b"\xff\xfe", None, r"^tokenize\.tokenizer: tokenizer\.json does not load: "),
        (None, b"{", r"^tokenize\.tokenizer: tokenizer_config\.json is not JSON: "),
        (None, b"[]", r"^tokenize\.tokenizer: tokenizer_config\.json is not a JSON object$"),
        (None, b'{"added_tokens_decoder": {"x": {}}}', r"^tokenize\.tokenizer: .*added_tokens_decoder"),
        (None, b'{"added_tokens_decoder": ["x"]}', r"^tokenize\.tokenizer: .*added_tokens_decoder"),
        (None, b'{"model_input_names": "input_ids"}', r"^tokenize\.tokenizer: .*model_input_names"),
        (None, b'{"padding_side": "up"}', r"^tokenize\.tokenizer: .*padding_side"),
        (None, b'{"truncation_side": 3}', r"^tokenize\.tokenizer: .*truncation_side"),
    ],
)
def test_files_that_do_not_load_are_the_user_s_mistake_in_one_line(roberta, tokenizer_json, config_json, message):
    with pytest.raises(ConfigError, match=message) as error:
        read_facts(tokenizer_json if tokenizer_json is not None else roberta.tokenizer_json, config_json)
    assert "\n" not in str(error.value)


def pad(folder: TokenizerFolder, token: str | None = None, **config: Any) -> int:
    tokenizer_json = folder.tokenizer_json
    return pad_token_id(folder.load(), read_facts(tokenizer_json, folder.config(**config)), token)


def test_the_pad_token_is_the_option_s_else_the_config_s_else_tokenizer_json_s_own(roberta):
    assert pad(roberta) == 1
    assert pad(roberta, "</s>") == 2
    assert pad(roberta, pad_token={"content": "<unk>", "__type": "AddedToken"}) == 3
    tokenizer = roberta.load()
    tokenizer.enable_padding(pad_id=2, pad_token="</s>")
    facts = read_facts(tokenizer.to_str().encode(), roberta.config(pad_token=None))
    assert pad_token_id(tokenizer, facts, None) == 2
    facts = read_facts(tokenizer.to_str().encode(), roberta.config())
    assert pad_token_id(tokenizer, facts, None) == 1


def test_without_a_pad_token_nothing_is_guessed_but_likely_ones_are_named(roberta):
    with pytest.raises(ConfigError) as error:
        pad(roberta, pad_token=None)
    assert str(error.value) == (
        "pad.token: this tokenizer has no pad token; name a token of its vocabulary to pad with, "
        "e.g. --set 'pad.token=\"<pad>\"'; its vocabulary has <pad>, </s>, <unk>"
    )


def test_a_vocabulary_without_likely_pad_tokens_is_not_given_any():
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="b"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    facts = read_facts(tokenizer.to_str().encode())
    with pytest.raises(ConfigError, match=re.escape('pad.token="<token>"\'')):
        pad_token_id(tokenizer, facts, None)
    assert pad_token_id(tokenizer, facts, "a") == 0
    with pytest.raises(ConfigError, match=r"^pad\.token: '<nothing>' is not in the tokenizer's vocabulary$"):
        pad_token_id(tokenizer, facts, "<nothing>")


def test_model_input_names_are_the_config_s(roberta):
    names = ["input_ids", "attention_mask", "token_type_ids"]
    assert read_facts(roberta.tokenizer_json, roberta.config(model_input_names=names)).model_input_names == tuple(names)
