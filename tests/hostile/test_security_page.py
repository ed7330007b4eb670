"""docs/security.md: each promise has a test that is there."""

import re

import pytest

from tests.markdown import ROOT, table

PROMISES = table(ROOT / "docs/security.md", "promise")


@pytest.mark.parametrize(("promise", "test"), PROMISES, ids=[row[0][:40] for row in PROMISES])
def test_promise_names_a_test_that_is_there(promise, test):
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)


def test_every_test_of_hostile_input_stands_behind_a_promise_or_checks_one():
    named = {test.partition("::")[0].rpartition("/")[2] for _, test in PROMISES}
    assert {path.name for path in (ROOT / "tests/hostile").glob("test_*.py")} - named == {"test_security_page.py"}
