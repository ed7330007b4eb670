from pipeline.generations import list_runs
from tests.runs import oblong


def test_runs_are_listed_the_oldest_first(output, pairs):
    rows = list_runs(str(output))
    states = [(row["run_id"], row["status"], row["created"] is None) for row in rows]
    assert states == [
        ("b", "committed", False),
        ("a", "committed", False),
        ("c", "committed", False),
        ("damaged", "damaged", True),
        ("gone", "unfinished", True),
    ]
    totals = pairs.manifest["totals"]
    size = sum(file["bytes"] for file in pairs.manifest["files"])
    assert [(row["rows"], row["tokens"], row["bytes"]) for row in rows[:3]] == [
        (totals["rows_written"], totals["tokens"], size)
    ] * 3
    assert [row["rows"] for row in rows[3:]] == [None, None]
    assert rows[0]["folder"] == f"{output}/runs/b"


def test_table_of_runs(output):
    said = oblong("runs", output)
    assert (said.code, said.err) == (0, "")
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["run_id", "status", "created", "generation", "rows", "tokens", "bytes"]
    assert lines[1][:5] == ["b", "committed", "2026-01-01T00:00:00Z", "-", "150"]
    assert lines[5] == ["gone", "unfinished", "-", "-", "-", "-", "-"]


def test_empty_data_set_has_no_runs(tmp_path):
    (tmp_path / "runs").mkdir()
    assert list_runs(str(tmp_path)) == []
