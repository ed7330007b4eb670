"""Every target of `make fuzz`, with a small budget and always the same examples."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.targets import SEEDS, TARGETS

SPLIT = re.compile(rb"(\w+|\s+|.)", re.DOTALL)


def mutants(seeds):
    """Bytes made of pieces of the seeds, their order and number changed, and of any bytes."""
    pieces = sorted({piece for seed in seeds for piece in SPLIT.findall(seed)})
    anything = st.binary(max_size=3) | st.sampled_from([b"\\ud800", b"\0", b"9" * 5000, b"[" * 300, b"\xef\xbb\xbf"])
    jumbled = st.lists(st.sampled_from(pieces) | st.sampled_from(list(seeds)) | anything, max_size=25).map(b"".join)

    @st.composite
    def edited(draw):
        data = bytearray(draw(st.sampled_from(list(seeds))))
        for _ in range(draw(st.integers(0, 4))):
            at = draw(st.integers(0, len(data)))
            data[at : at + draw(st.integers(0, 2))] = draw(st.sampled_from(pieces) | anything)
        return bytes(data)

    return jumbled | edited() | st.binary(max_size=60)


@pytest.mark.parametrize("name", list(TARGETS))
def test_no_bytes_break_the_law_of_a_target(name):
    @settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(mutants(SEEDS[name]))
    def fuzz(data):
        TARGETS[name](data)

    fuzz()
