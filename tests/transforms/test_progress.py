import json
import threading

from transforms.progress import Progress


def test_notes_of_many_threads_add_up(tmp_path):
    notes = Progress(str(tmp_path))

    def work():
        for _ in range(50):
            notes.note(rows=1, bytes=10)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes.totals() == {"rows": 200, "bytes": 2000}
    assert len(list(tmp_path.iterdir())) >= 1


def test_nothing_noted_is_nothing(tmp_path):
    assert Progress(str(tmp_path)).totals() == {}


def test_line_that_is_still_being_written_waits(tmp_path):
    notes = Progress(str(tmp_path))
    (tmp_path / "1-1.jsonl").write_text(json.dumps({"rows": 2}) + '\n{"rows": 7')
    assert notes.totals() == {"rows": 2}
    (tmp_path / "1-1.jsonl").write_text(json.dumps({"rows": 2}) + '\n{"rows": 7}\n')
    assert notes.totals() == {"rows": 9}


def test_display_that_is_gone_does_not_stop_a_worker(tmp_path):
    notes = Progress(str(tmp_path / "gone"))
    notes.note(rows=1)
    assert notes.totals() == {}
