"""docs/failures.md: what it says of each failure is held by the test beside it."""

import re

import pytest

from tests.markdown import ROOT, table

ROWS = table(ROOT / "docs/failures.md", "what fails")


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_failure_names_a_test_that_is_there(row):
    path, _, name = row[3].partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)


def test_every_suite_of_failures_is_named():
    named = {row[3].partition("::")[0].rpartition("/")[2] for row in ROWS}
    assert {path.name for path in (ROOT / "tests/failing").glob("test_*.py")} - named == {"test_failures_page.py"}
