import json
from pathlib import Path

import apache_beam as beam
import google_crc32c
import pytest

from tests.transforms.beam_pipelines import run
from transforms.arrays.dead_letters import DeadLetters
from transforms.dead_letters import WriteDeadLetters, count_reasons


def letters(*places, raw=b"raw"):
    dead = DeadLetters()
    for file, position, reason in places:
        dead.add(reason, "no", file, position, raw)
    return dead.to_batch()


PLACES = [(f"f{i % 3}.txt", 10 * i, "bad_json" if i % 2 else "too_long") for i in range(40)]


def written(folder, batches, parts):
    """Writes batches; gives what was said of the files, and their lines."""

    def build(pipeline):
        return {"files": pipeline | beam.Create(batches) | WriteDeadLetters(str(folder / "attempt"), parts)}

    files = sorted(run(build, folder / "run")["files"], key=lambda file: file["path"])
    return files, {file["path"]: (folder / "attempt" / file["path"]).read_bytes() for file in files}


def test_reasons_are_counted():
    batch = letters(("f", 1, "unfit"), ("f", 2, "too_long"), ("g", 1, "unfit"))
    assert count_reasons(batch) == {"dead_letters.unfit": 2, "dead_letters.too_long": 1}


@pytest.mark.parametrize("parts", [1, 3])
def test_every_letter_is_written_once_in_the_order_of_places_with_true_sizes_and_checksums(tmp_path, parts):
    files, contents = written(tmp_path, [letters(*PLACES[:25]), letters(*PLACES[25:])], parts)
    assert 1 <= len(files) <= parts
    found = []
    for file in files:
        data = contents[file["path"]]
        rows = [json.loads(line) for line in data.splitlines()]
        places = [(row["file"], row["position"], row["reason"]) for row in rows]
        assert places == sorted(places)
        assert file["rows"] == len(rows)
        assert file["bytes"] == len(data)
        assert file["crc32c"] == f"{google_crc32c.value(data):08x}"
        assert Path(file["path"]).name.endswith(f"-of-{parts:05}.jsonl")
        found += places
    assert sorted(found) == sorted(PLACES)
    assert not (tmp_path / "attempt.tmp").exists()


def test_bytes_are_the_same_however_the_letters_came(tmp_path):
    one = written(tmp_path / "one", [letters(*PLACES)], 2)
    many = written(tmp_path / "many", [letters(place) for place in reversed(PLACES)], 2)
    assert one == many


def test_no_letters_make_no_files(tmp_path):
    assert written(tmp_path, [letters()], 2) == ([], {})
    assert not (tmp_path / "attempt").exists()
