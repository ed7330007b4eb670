import unicodedata

import numpy as np
import pytest
from tokenizers import normalizers

from transforms.arrays.characters import CharacterFinder, young_characters


def data_of(text):
    return np.frombuffer(text.encode(), np.uint8)


def points(text):
    return [ord(character) for character in text]


def test_characters_that_all_know_are_not_young():
    known = "aé中あ한ждلعไदे😀\u0301\u00a0\u3000\ufeff\ufffd\U00020000\ue000"
    for nfc in (False, True):
        assert not young_characters(nfc)[points(known)].any()


def test_characters_that_nobody_knows_are_young():
    # U+0378 is unassigned, U+10940 and U+088F came with Unicode 17, U+50000 is of a plane without characters.
    assert young_characters(False)[points("\u0378\U00010940\u088f\U00050000")].all()


@pytest.mark.parametrize("mark", ["\u09fe", "\u0c3c", "\u1ac1", "\U00011930"])
def test_marks_that_tokenizers_normalizes_by_an_older_table_are_young_where_text_is_normalized(mark):
    assert young_characters(True)[ord(mark)]


def test_whatever_is_not_young_is_normalized_by_tokenizers_as_by_python():
    old = [chr(point) for point in np.flatnonzero(~young_characters(True)) if not 0xD800 <= point < 0xE000]
    for start in range(0, len(old), 5000):
        text = "".join(f"a\u0345{character}\u0323{character}\u0301" for character in old[start : start + 5000])
        assert normalizers.NFC().normalize_str(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", []),
        ("ascii", []),
        ("é", [0]),
        ("aé中b😀é", [1, 11]),
        ("中", []),
        ("😀", []),
        ("\U0010ffff", [0]),
        ("中\uffff", [3]),
    ],
)
def test_characters_of_every_length_are_found_at_their_first_byte(text, places):
    wanted = np.zeros(0x110000, bool)
    wanted[points("é\uffff\U0010ffff")] = True
    assert CharacterFinder(wanted).find(data_of(text)).tolist() == places
