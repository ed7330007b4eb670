import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.arrays.utf8 import code_points


@given(st.text())
def test_code_points_and_sizes_are_those_of_the_characters(text):
    data = np.frombuffer(text.encode(), np.uint8)
    point, size = code_points(data, np.flatnonzero(data >= 0xC0))
    beyond = [character for character in text if character > "\x7f"]
    assert point.tolist() == [ord(character) for character in beyond]
    assert size.tolist() == [len(character.encode()) for character in beyond]


def test_character_cut_off_at_the_end_of_the_data_reads_nothing_behind_it():
    data = np.frombuffer("\u4e2d".encode()[:2], np.uint8)
    _, size = code_points(data, np.array([0]))
    assert size.tolist() == [3]
