"""What a tokenizer's files say, and where the two contradict each other; `transformers` shows that ids would differ."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tests.conftest import TokenizerFolder
from transforms.arrays.errors import ConfigError
from transforms.arrays.facts import pad_token_id, plain_tokenizer, read_facts

REAL = "Héllo 中文 World <mask> howitzer"


@pytest.fixture
def theirs(tmp_path):
    """Ids that `transformers` gives with two files."""
    transformers = pytest.importorskip("transformers")

    def load(tokenizer_json: bytes, config_json: bytes) -> Any:
        (tmp_path / "tokenizer.json").write_bytes(tokenizer_json)
        (tmp_path / "tokenizer_config.json").write_bytes(config_json)
        return transformers.AutoTokenizer.from_pretrained(str(tmp_path))

    return load


def ids(tokenizer_json: bytes, text: str) -> list[int]:
    return list(plain_tokenizer(tokenizer_json).encode(text).ids)


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


@pytest.mark.parametrize(("said", "side"), [(None, "left"), ("right", "right")])
def test_some_classes_pad_on_the_left_where_no_file_says_otherwise(xlnet, theirs, said, side):
    files = xlnet.tokenizer_json, xlnet.config(padding_side=said)
    assert read_facts(*files).padding_side == side == theirs(*files).padding_side


def test_a_class_that_pads_on_the_left_does_not_where_tokenizer_json_pads_on_the_right(xlnet, theirs):
    tokenizer = xlnet.load()
    tokenizer.enable_padding(direction="right", pad_id=5, pad_token="<pad>")
    files = tokenizer.to_str().encode(), xlnet.config_json
    assert read_facts(*files).padding_side == "right" == theirs(*files).padding_side


def test_a_llama_of_bytes_pads_on_the_right_as_the_general_class_does(roberta, theirs):
    files = roberta.tokenizer_json, roberta.config(tokenizer_class="LlamaTokenizer")
    assert read_facts(*files).padding_side == "right" == theirs(*files).padding_side


@pytest.mark.parametrize("kind", ["XLNetTokenizer", "PreTrainedTokenizerFast"])
def test_padding_has_type_0_as_in_transformers_and_a_file_that_says_otherwise_is_named(xlnet, theirs, kind):
    files = xlnet.tokenizer_json, xlnet.config(pad_token_type_id=3, tokenizer_class=kind)
    facts = read_facts(*files)
    assert facts.pad_token_type_id == 0 == theirs(*files).pad_token_type_id
    assert facts.notes == ("the type of padding is 0, as in transformers, not the files' pad_token_type_id 3",)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("do_lower_case", False),
        ("strip_accents", False),
        ("tokenize_chinese_chars", False),
        ("mask_token", "how"),
        ("cls_token", "how"),
        ("additional_special_tokens", ["how"]),
        ("extra_special_tokens", ["how"]),
        ("extra_special_tokens", {"image_token": "how"}),
        ("model_specific_special_tokens", {"audio_token": "how"}),
    ],
)
def test_a_key_that_would_change_the_ids_of_bert_is_refused_by_name_and_can_be_ignored(bert, theirs, key, value):
    config = bert.config(**{key: value})
    with pytest.raises(ConfigError, match=rf"disagree on {key}: .*ignore: \[{key}\]$") as error:
        read_facts(bert.tokenizer_json, config)
    assert "\n" not in str(error.value)
    facts = read_facts(bert.tokenizer_json, config, ignore=[key])
    assert [note.startswith(f"ignored, as tokenize.ignore asks: {key}: ") for note in facts.notes] == [0, 0, 1]
    assert theirs(bert.tokenizer_json, config)(REAL).input_ids != ids(bert.tokenizer_json, REAL)


def test_other_keys_are_not_ignored_with_one(bert):
    config = bert.config(do_lower_case=False, tokenize_chinese_chars=False)
    with pytest.raises(ConfigError, match="disagree on tokenize_chinese_chars"):
        read_facts(bert.tokenizer_json, config, ignore=["do_lower_case"])
    assert len(read_facts(bert.tokenizer_json, config, ignore=["do_lower_case", "tokenize_chinese_chars"]).notes) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"do_lower_case": None},
        {"strip_accents": True},
        {"tokenize_chinese_chars": None},
        {"mask_token": {"__type": "AddedToken", "content": "[MASK]", "special": True}},
        {"add_bos_token": True},  # no bos_token: it can add none
        {"additional_special_tokens": []},
        {"extra_special_tokens": {}},
        {"tokenizer_class": "PreTrainedTokenizerFast"},
    ],
)
def test_keys_that_agree_or_say_nothing_are_taken_and_give_the_ids_of_transformers(bert, theirs, changes):
    config = bert.config(**changes)
    assert read_facts(bert.tokenizer_json, config).vocab_size == 30522
    assert theirs(bert.tokenizer_json, config)(REAL).input_ids == ids(bert.tokenizer_json, REAL)


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("do_lower_case", {"lowercase": False}),
        ("strip_accents", {"strip_accents": False}),
        ("tokenize_chinese_chars", {"handle_chinese_chars": False}),
    ],
)
@pytest.mark.parametrize("kind", ["BertTokenizer", "BertTokenizerFast", "ElectraTokenizerFast"])
def test_a_key_that_is_left_out_means_the_default_of_the_class_that_is_named(bert, theirs, key, changed, kind):
    normalizer = json.loads(bert.tokenizer_json)["normalizer"] | changed
    tokenizer_json = bert.spec(normalizer=normalizer)
    config = bert.config(do_lower_case=None, strip_accents=None, tokenize_chinese_chars=None, tokenizer_class=kind)
    with pytest.raises(ConfigError, match=rf"disagree on {key}: tokenizer_config.json, by its class {kind}, says "):
        read_facts(tokenizer_json, config)
    assert theirs(tokenizer_json, config)(REAL).input_ids != ids(tokenizer_json, REAL)
    general = bert.config(
        do_lower_case=None, strip_accents=None, tokenize_chinese_chars=None, tokenizer_class="PreTrainedTokenizerFast"
    )
    read_facts(tokenizer_json, general)
    assert theirs(tokenizer_json, general)(REAL).input_ids == ids(tokenizer_json, REAL)


@pytest.mark.parametrize("kind", ["RobertaTokenizer", "GPT2TokenizerFast"])
@pytest.mark.parametrize(("written", "said"), [(False, True), (True, False), (True, None)])
def test_add_prefix_space_is_refused_where_it_disagrees_by_key_or_by_class(roberta, theirs, kind, written, said):
    pre_tokenizer = json.loads(roberta.tokenizer_json)["pre_tokenizer"] | {"add_prefix_space": written}
    files = roberta.spec(pre_tokenizer=pre_tokenizer), roberta.config(add_prefix_space=said, tokenizer_class=kind)
    with pytest.raises(ConfigError, match=r"disagree on add_prefix_space: "):
        read_facts(*files)
    assert theirs(*files)("one two").input_ids != ids(files[0], "one two")
    read_facts(*files, ignore=["add_prefix_space"])
    agreeing = roberta.config(add_prefix_space=written, tokenizer_class=kind)
    read_facts(files[0], agreeing)
    assert theirs(files[0], agreeing)("one two").input_ids == ids(files[0], "one two")


@pytest.mark.parametrize(("scheme", "said"), [("always", False), ("first", False), ("never", True)])
def test_add_prefix_space_is_also_that_of_metaspace(xlnet, scheme, said):
    spec = xlnet.spec(pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True})
    with pytest.raises(ConfigError, match=r"disagree on add_prefix_space: "):
        read_facts(spec, xlnet.config(add_prefix_space=said))
    read_facts(spec, xlnet.config(add_prefix_space=not said))


@pytest.mark.parametrize(
    ("single", "key", "said"),
    [
        ("$A", "add_bos_token", True),
        ("<s> $A", "add_bos_token", False),
        ("<s> $A", "add_eos_token", True),
        ("<s> $A </s>", "add_eos_token", False),
    ],
)
def test_bos_and_eos_that_the_template_adds_or_does_not_are_refused_where_the_config_says_otherwise(
    roberta, single, key, said
):
    # transformers 5 leaves these two keys aside where there is a tokenizer.json; 4 goes by them.
    tokenizer = roberta.load()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=f"{single} $B:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer_json = tokenizer.to_str().encode()
    with pytest.raises(ConfigError, match=rf"disagree on {key}: tokenizer_config.json says {said}, "):
        read_facts(tokenizer_json, roberta.config(**{key: said}))
    read_facts(tokenizer_json, roberta.config(**{key: said}), ignore=[key])
    read_facts(tokenizer_json, roberta.config(**{key: not said}))
    read_facts(tokenizer_json, roberta.config())


TOKEN = {"content": "<s>", "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}


@pytest.mark.parametrize(
    "decoder",
    [
        {"0": TOKEN | {"lstrip": True, "rstrip": True}},  # known, but with another flag
        {"0": TOKEN, "999": TOKEN | {"content": "how", "special": False}},  # unknown
    ],
)
def test_added_tokens_that_tokenizer_json_has_otherwise_or_not_are_refused(roberta, theirs, decoder):
    files = roberta.tokenizer_json, roberta.config(added_tokens_decoder=decoder)
    with pytest.raises(ConfigError, match="disagree on added_tokens_decoder: "):
        read_facts(*files)
    text = "how <s> a"
    assert theirs(*files)(text).input_ids != ids(files[0], text)
    assert len(read_facts(*files, ignore=["added_tokens_decoder"]).notes) >= 1


def test_added_tokens_that_agree_are_taken(roberta):
    decoder = {"0": TOKEN, "1": {"content": "<pad>"}}
    assert read_facts(roberta.tokenizer_json, roberta.config(added_tokens_decoder=decoder)).notes == ()


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
        "e.g. --set pad.token='<pad>'; its vocabulary has <pad>, </s>, <unk>"
    )


def test_a_vocabulary_without_likely_pad_tokens_is_not_given_any():
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="b"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    facts = read_facts(tokenizer.to_str().encode())
    with pytest.raises(ConfigError, match=r"pad\.token='<token>'$"):
        pad_token_id(tokenizer, facts, None)
    assert pad_token_id(tokenizer, facts, "a") == 0
    with pytest.raises(ConfigError, match=r"^pad\.token: '<nothing>' is not in the tokenizer's vocabulary$"):
        pad_token_id(tokenizer, facts, "<nothing>")


def test_model_input_names_are_the_config_s(roberta):
    names = ["input_ids", "attention_mask", "token_type_ids"]
    assert read_facts(roberta.tokenizer_json, roberta.config(model_input_names=names)).model_input_names == tuple(names)
