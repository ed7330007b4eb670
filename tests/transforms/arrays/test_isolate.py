import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from tests.poisonous import environment
from transforms.arrays.engines import TokenizersEngine, encode_or_bisect
from transforms.arrays.errors import EngineFailure, JobError
from transforms.arrays.isolate import IsolatedEngine, how_it_ended
from transforms.arrays.ragged import Ragged


@pytest.fixture
def poisonous(bert, tmp_path, monkeypatch):
    """An isolated engine that texts can kill."""
    monkeypatch.setenv("PYTHONPATH", environment(tmp_path)["PYTHONPATH"])
    return IsolatedEngine(bert.tokenizer_json, "poisonous")


@pytest.mark.parametrize("engine", ["tokenizers", "pieces", "auto"])
def test_ids_are_those_of_the_engine_in_this_process(engine, bert):
    texts = pa.array(["before", "", "Hello, world", "naïve 漢字 🎉", "a\0b", "word " * 3000] * 50).slice(1)
    isolated = IsolatedEngine(bert.tokenizer_json, engine)
    expected = TokenizersEngine(bert.load()).encode(texts).tolist()
    assert isolated.encode(texts).tolist() == expected
    assert isolated.encode(texts).tolist() == expected
    assert isolated.encode(pa.array([], pa.string())).tolist() == []


def test_tokens_compared_in_the_other_process_are_counted_here(bert):
    isolated = IsolatedEngine(bert.tokenizer_json, "pieces")
    isolated.encode(pa.array([f"some words and the number {i}" for i in range(8000)]))
    assert isolated.take_checked() > 0
    assert isolated.take_checked() == 0


def test_every_text_that_kills_its_process_is_found_and_no_other(poisonous, bert):
    texts = [f"text {i}" for i in range(200)]
    texts[0], texts[150], texts[151] = "kill! at once", "an abort! comes", "a segfault! too"
    texts[77] = "a panic! is none of these"
    ids, failures = encode_or_bisect(poisonous, pa.array(texts))
    died = "the process that encoded it was killed by"
    assert [tuple(failure) for failure in failures] == [
        (0, f"{died} SIGKILL"),
        (77, "ValueError: told to"),
        (150, f"{died} SIGABRT"),
        (151, f"{died} SIGSEGV"),
    ]
    plain = TokenizersEngine(bert.load()).encode(pa.array(texts)).tolist()
    assert ids.tolist() == [[] if i in (0, 77, 150, 151) else row for i, row in enumerate(plain)]


def test_process_that_somebody_kills_blames_no_text(poisonous):
    texts = pa.array(["one", "two"])
    before = poisonous.encode(texts).tolist()
    os.kill(poisonous._process.pid, signal.SIGKILL)
    ids, failures = encode_or_bisect(poisonous, texts)
    assert (ids.tolist(), failures) == (before, [])
    os.kill(poisonous._process.pid, signal.SIGKILL)
    assert poisonous.encode(texts.slice(1)).tolist() == before[1:]


def test_signals_for_the_job_are_left_to_the_process_that_asks(poisonous):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(poisonous._process.pid, number)
    process = poisonous._process.pid
    assert poisonous.encode(pa.array(["one"])).rows == 1
    assert poisonous._process.pid == process


def test_engine_that_dies_of_everything_stops_the_job(poisonous, monkeypatch):
    monkeypatch.setattr("transforms.arrays.isolate.DEATHS", 4)
    with pytest.raises(JobError, match=r"died 4 times in a row, and the last one was killed by SIGKILL"):
        encode_or_bisect(poisonous, pa.array(["kill!"] * 3))


def test_process_that_cannot_take_the_tokenizer_says_why(bert):
    with pytest.raises(JobError, match=r"^run\.isolate: tokenize\.engine: gigatoken does not take this tokenizer"):
        IsolatedEngine(bert.tokenizer_json, "gigatoken")
    with pytest.raises(JobError, match=r"tokenizer\.json does not load"):
        IsolatedEngine(b"no tokenizer", "tokenizers")


def test_process_that_dies_at_its_start_is_told(bert, monkeypatch):
    monkeypatch.setattr("transforms.arrays.isolate.PROGRAM", "import os; os.abort()")
    with pytest.raises(JobError, match=r"^run\.isolate: the process that is to encode was killed by SIGABRT before"):
        IsolatedEngine(bert.tokenizer_json, "tokenizers")


def test_process_ends_with_its_engine(bert):
    isolated = IsolatedEngine(bert.tokenizer_json, "tokenizers")
    process = isolated._process
    del isolated
    gc.collect()
    assert process.returncode == 0


LEFT = """
import sys, time
from pathlib import Path
from transforms.arrays.isolate import IsolatedEngine
print(IsolatedEngine(Path(sys.argv[1]).read_bytes(), "tokenizers")._process.pid, flush=True)
"""


@pytest.mark.parametrize("end", ["", "time.sleep(600)"], ids=["ends", "is killed"])
def test_process_ends_with_the_one_that_asks_however_that_ends(end, bert):
    program = LEFT.replace("print(", "engine = ", 1).replace("._process.pid, flush=True)", "")
    program += f"print(engine._process.pid, flush=True)\n{end}\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(bert.path / "tokenizer.json")], stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    if end:
        parent.kill()
    parent.communicate(timeout=60)
    until = time.monotonic() + 30
    while _lives(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _lives(child)


def _lives(process: int) -> bool:
    try:
        return "transforms.arrays.encoder" in Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return False


def test_what_a_library_prints_stands_between_no_answers(bert, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "from transforms.arrays.plain import TokenizersEngine\n"
        "encode = TokenizersEngine.encode\n"
        "TokenizersEngine.encode = lambda self, texts: print('noise' * 9999, flush=True) or encode(self, texts)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}")
    isolated = IsolatedEngine(bert.tokenizer_json, "tokenizers")
    assert isolated.encode(pa.array(["hello"])).tolist() == [[7592]]


def test_nothing_is_imported_from_the_current_folder(bert, tmp_path, monkeypatch):
    (tmp_path / "msgspec.py").write_text("raise SystemExit('imported from the current folder')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    assert isinstance(IsolatedEngine(bert.tokenizer_json, "tokenizers").encode(pa.array(["a"])), Ragged)


def test_failure_in_the_other_process_is_a_failure_of_the_engine(poisonous):
    with pytest.raises(EngineFailure, match=r"^ValueError: told to$"):
        poisonous.encode(pa.array(["a panic! b", "c"]))


@pytest.mark.parametrize(
    ("code", "said"), [(0, "ended with exit code 0"), (-11, "was killed by SIGSEGV"), (-99, "was killed by signal 99")]
)
def test_ends_of_processes_are_told(code, said):
    assert how_it_ended(code) == said
