import base64
import json
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.arrays.dead_letters import RAW_BYTES, REASONS, SCHEMA, DeadLetters, add_rows, row_as_json, to_json_lines
from transforms.arrays.identity import row_ids


def line_of(raw, reason="bad_json", message="no", file="a/b.jsonl", position=7):
    """The JSON line of one dead letter."""
    dead = DeadLetters()
    dead.add(reason, message, file, position, raw)
    (line,) = to_json_lines(dead.to_batch())
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)


def test_reasons_are_those_that_users_were_promised():
    promised = (
        "bad_json, bad_encoding, missing_column, wrong_type, null_text, bad_row, empty_text, unfit, "
        "too_many_windows, too_long, tokenizer_error"
    )
    assert ", ".join(REASONS) == promised


def test_line_has_reason_message_place_and_raw_in_this_order():
    dead = DeadLetters()
    dead.add("bad_json", 'say "é"\u2028', "a #1%/ü.txt", 2**40, '{"text": "漢'.encode())
    assert (
        b"".join(to_json_lines(dead.to_batch()))
        == (
            '{"reason": "bad_json", "message": "say \\"é\\"\u2028", "file": "a #1%/ü.txt", "position": 1099511627776, '
            '"raw": "{\\"text\\": \\"漢"}\n'
        ).encode()
    )


def test_raw_that_is_no_utf8_is_base64():
    assert line_of(b"a\xffb") == {
        "reason": "bad_json",
        "message": "no",
        "file": "a/b.jsonl",
        "position": 7,
        "raw_base64": base64.b64encode(b"a\xffb").decode(),
    }


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=20), st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)))
def test_raw_comes_back_byte_for_byte(raw):
    line = line_of(raw)
    if "raw" in line:
        assert line["raw"].encode() == raw
    else:
        assert base64.b64decode(line["raw_base64"]) == raw
        with pytest.raises(UnicodeDecodeError):
            raw.decode()
    assert "raw_truncated" not in line


def test_raw_is_cut_at_64_kib_and_says_so():
    assert line_of(b"x" * RAW_BYTES).get("raw_truncated") is None
    cut = line_of(b"x" * (RAW_BYTES + 1))
    assert (cut["raw"], cut["raw_truncated"]) == ("x" * 65536, True)
    assert list(cut) == ["reason", "message", "file", "position", "raw", "raw_truncated"]


@pytest.mark.parametrize("char", ["é", "漢", "🎉"])
@pytest.mark.parametrize("shift", [1, 2, 3])
def test_cut_inside_a_character_leaves_the_text_before_it(char, shift):
    spelled = char.encode()
    raw = b"x" * (RAW_BYTES - shift) + spelled * 3
    cut = line_of(raw)
    assert cut["raw"] == "x" * (RAW_BYTES - shift) + char * (shift // len(spelled))
    assert cut["raw_truncated"] is True


def test_cut_content_that_is_no_utf8_before_the_cut_is_base64():
    for raw in (b"\xff" + b"x" * RAW_BYTES, b"x" * (RAW_BYTES - 4) + b"\xff" + b"x" * 10):
        cut = line_of(raw)
        assert base64.b64decode(cut["raw_base64"]) == raw[:RAW_BYTES]
        assert cut["raw_truncated"] is True


def test_content_that_ends_inside_a_character_without_being_cut_is_base64():
    assert "raw_base64" in line_of("é".encode()[:1])


def test_message_with_half_a_surrogate_pair_can_be_written():
    assert line_of(b"x", message="no column '\udcff'")["message"] == "no column '?'"


def test_batch_has_the_schema_and_counts_its_rows():
    dead = DeadLetters()
    assert len(dead) == 0
    assert (dead.to_batch().num_rows, dead.to_batch().schema) == (0, SCHEMA)
    assert list(to_json_lines(dead.to_batch())) == []
    dead.add("unfit", "no", "f", 1, b"")
    dead.add("too_long", "no", "f", 2, b"")
    assert len(dead) == dead.to_batch().num_rows == 2


def test_very_many_letters_take_little_memory():
    dead = DeadLetters()
    tracemalloc.start()
    for i in range(10_000):
        dead.add("bad_json", "no", "f", i, b"a")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 200 * 10_000
    assert dead.to_batch()["position"].to_pylist() == list(range(10_000))


def test_rows_of_a_batch_are_spelled_out_without_their_identity():
    batch = pa.record_batch(
        {"row_id": row_ids("f", pa.array([5, 6, 7]).to_numpy()), "text": ["a", "é", "c"], "n": [1, None, 3]}
    )
    dead = DeadLetters()
    add_rows(dead, "unfit", batch, [1, 2], "too short")
    assert dead.to_batch().to_pylist() == [
        {
            "reason": "unfit",
            "message": "too short",
            "file": "f",
            "position": 6,
            "raw": '{"text": "é", "n": null}'.encode(),
            "raw_truncated": False,
        },
        {
            "reason": "unfit",
            "message": "too short",
            "file": "f",
            "position": 7,
            "raw": b'{"text": "c", "n": 3}',
            "raw_truncated": False,
        },
    ]


def test_row_as_json_takes_what_json_has_no_name_for():
    assert row_as_json({"a": b"\xff".decode(errors="surrogateescape"), "b": {1}}) == b'{"a": "\xff", "b": "{1}"}'
