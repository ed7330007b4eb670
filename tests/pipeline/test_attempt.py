import json
from pathlib import Path

import pytest

from pipeline.attempt import begin_attempt, spill_folder
from pipeline.config import load_config
from pipeline.description import describe
from pipeline.job import prepare
from tests.runs import contents, write_jsonl
from transforms.arrays.errors import ConfigError
from transforms.units import load_unit, units_of

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")

ROWS = [{"text": "w1 w2"}, {"text": "w3"}]


@pytest.mark.parametrize(
    ("shuffle", "shared_disk", "spills"),
    [("auto", True, True), ("auto", False, False), ("files", False, True), ("runner", True, False)]
    + [("none", shared_disk, False) for shared_disk in (True, False)],
)
def test_rows_are_spilled_only_where_files_bring_them_together(sections, shuffle, shared_disk, spills):
    job = prepare(load_config(sections, [f"run.shuffle={shuffle}"]))
    folder = spill_folder(job, shared_disk=shared_disk)
    assert folder == (f"{job.scratch_folder}/spill" if spills else None)


def test_attempt_writes_what_workers_need_before_anything_else(tmp_path, tokenizer):
    out = tmp_path / "out"
    sections = {
        "read": {"files": str(write_jsonl(tmp_path / "rows.jsonl", ROWS))},
        "tokenize": {"tokenizer": str(tokenizer)},
        "write": {"path": str(out)},
    }
    planned = prepare(load_config(sections))
    assert not out.exists()
    assert begin_attempt(planned, dry=True).config.read == planned.config.read
    assert not out.exists()
    attempt = begin_attempt(planned)
    assert attempt.config.tokenize.tokenizer == f"{planned.attempt_folder}/tokenizer"
    written = contents(Path(planned.run_folder))
    assert {name: written.pop(f"{planned.attempt}/tokenizer/{name}") for name in TOKENIZER_FILES} == {
        name: (tokenizer / name).read_bytes() for name in TOKENIZER_FILES
    }
    assert sorted(written) == [f"{planned.attempt}.tmp/described.json", f"{planned.attempt}.tmp/units.jsonl"]
    assert json.loads(Path(attempt.described).read_bytes()) == json.loads(json.dumps(describe(planned)))
    assert [load_unit(attempt.units.path, place) for place in attempt.units.places] == units_of(
        planned.corpus, planned.config.read
    )


def test_output_that_cannot_be_written_is_the_users_mistake(sections):
    planned = prepare(load_config(sections, ["write.path=/proc/nowhere"]))
    with pytest.raises(ConfigError, match=r"write.path: /proc/nowhere cannot be written"):
        begin_attempt(planned)
