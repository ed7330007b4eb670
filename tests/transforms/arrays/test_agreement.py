"""Where a tokenizer's two files contradict each other; `transformers` shows that ids would differ."""

from __future__ import annotations

import json

import pytest
from tokenizers import processors

from transforms.arrays.agreement import class_defaults, content_of, nodes, refuse_disagreement
from transforms.arrays.errors import ConfigError
from transforms.arrays.facts import plain_tokenizer, read_facts

REAL = "Héllo 中文 World <mask> howitzer"


def ids(tokenizer_json: bytes, text: str) -> list[int]:
    return list(plain_tokenizer(tokenizer_json).encode(text).ids)


@pytest.mark.parametrize(("said", "side"), [(None, "left"), ("right", "right")])
def test_some_classes_pad_on_the_left_where_no_file_says_otherwise(xlnet, theirs, said, side):
    files = xlnet.tokenizer_json, xlnet.config(padding_side=said)
    assert read_facts(*files).padding_side == side == theirs(*files).padding_side


def test_a_llama_of_bytes_pads_on_the_right_as_the_general_class_does(roberta, theirs):
    files = roberta.tokenizer_json, roberta.config(tokenizer_class="LlamaTokenizer")
    assert read_facts(*files).padding_side == "right"
    pytest.importorskip("transformers", minversion="5.23", reason="an older one takes the class that is named")
    assert theirs(*files).padding_side == "right"


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
    ("kind", "pre_tokenizer", "defaults"),
    [
        ("BertTokenizerFast", None, {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}),
        ("GPT2Tokenizer", {"type": "ByteLevel"}, {"add_prefix_space": False}),
        ("LlamaTokenizerFast", {"type": "Metaspace"}, {"padding_side": "left"}),
        ("LlamaTokenizer", {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]}, {}),
        ("PreTrainedTokenizerFast", None, {}),
        ("SomebodysTokenizer", None, {}),
        (None, None, {}),
    ],
)
def test_keys_that_are_left_out_mean_what_the_class_says(kind, pre_tokenizer, defaults):
    assert class_defaults({"pre_tokenizer": pre_tokenizer}, {"tokenizer_class": kind}) == defaults


def test_nodes_are_found_inside_of_sequences_in_their_order():
    inner = {"type": "Lowercase", "n": 1}
    last = {"type": "Lowercase", "n": 2}
    tree = {
        "type": "Sequence",
        "normalizers": [{"type": "NFD"}, {"type": "Sequence", "normalizers": [inner]}, last],
    }
    assert list(nodes(tree, "Lowercase")) == [inner, last]
    assert list(nodes(tree, "Strip")) == []
    assert list(nodes(None, "Lowercase")) == []


def test_a_token_is_spelled_as_a_string_or_as_an_object():
    assert [content_of(token) for token in ("<s>", {"content": "<s>", "special": True}, {}, None)] == [
        "<s>",
        "<s>",
        None,
        None,
    ]


@pytest.mark.parametrize(("written", "said"), [(["Lowercase"], False), (["NFD"], True)])
def test_do_lower_case_is_also_that_of_a_normalizer_in_a_sequence(xlnet, written, said):
    normalizer = {"type": "Sequence", "normalizers": [{"type": kind} for kind in written]}
    tokenizer_json = xlnet.spec(normalizer=normalizer)
    with pytest.raises(ConfigError, match=rf"disagree on do_lower_case: tokenizer_config.json says {said}, "):
        read_facts(tokenizer_json, xlnet.config(do_lower_case=said))
    read_facts(tokenizer_json, xlnet.config(do_lower_case=not said))


def test_differences_that_are_ignored_are_told_in_one_line_each(bert):
    spec, config = json.loads(bert.tokenizer_json), json.loads(bert.config_json)
    config |= {"do_lower_case": False, "tokenize_chinese_chars": False, "tokenizer_class": "BertTokenizer"}
    ignored = refuse_disagreement(
        spec, config, bert.load(), ["do_lower_case", "tokenize_chinese_chars"], ["tokenize_chinese_chars"]
    )
    assert ignored == [
        "do_lower_case: tokenizer_config.json says False, tokenizer.json True",
        "tokenize_chinese_chars: tokenizer_config.json, by its class BertTokenizer, says False, tokenizer.json True",
    ]
