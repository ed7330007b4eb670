import pyarrow as pa

from tests.transforms.arrays.test_guard import Wrong
from tests.transforms.arrays.tokenizers_of_families import made, with_token
from transforms.arrays.engines import TokenizersEngine
from transforms.arrays.pieces import PiecesEngine
from transforms.arrays.probe import first_difference, probe_texts


def test_texts_are_the_same_each_time_and_hold_the_added_tokens_with_blanks_around_them():
    tokenizer = with_token(made("gpt-2"), "<mask>")
    texts = probe_texts(tokenizer, 500)
    assert texts == probe_texts(tokenizer, 500)
    assert len(texts) == 500
    assert {"", "<mask>", " <mask> ", "a<mask>a", "\n<mask>\n"} <= set(texts)


def test_right_engine_has_no_difference_and_a_wrong_one_its_first_text():
    tokenizer = made("gpt-2")
    oracle = TokenizersEngine(tokenizer)
    texts = probe_texts(tokenizer, 300)
    assert first_difference(PiecesEngine(tokenizer), oracle, texts) is None
    assert first_difference(Wrong(tokenizer, 1), oracle, ["", "a"]) == "a"
    assert len(oracle.encode(pa.array(["a"])).values) == 1
