"""README and docs: what they show is run, and what they list is compared with what there is."""

from __future__ import annotations

import argparse
import re
from typing import Any

import pytest

from pipeline import load_config, run
from pipeline.cli import LATER, make_parser
from pipeline.options import check_options
from tests.markdown import (
    PAGES,
    ROOT,
    blocks,
    broken_links,
    make_small_demo,
    run_page,
    table,
    without_blocks,
    without_cloud,
)
from transforms.arrays.bucket import Bucketing
from transforms.arrays.dead_letters import REASONS
from transforms.arrays.engines import ENGINES
from transforms.arrays.errors import ConfigError
from transforms.arrays.formats import FORMATS
from transforms.arrays.readers import CODECS, READERS

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo, cut short."""
    folder = tmp_path_factory.mktemp("pages")
    make_small_demo(folder)
    return folder / "demo"


@pytest.fixture
def registries():
    """Puts the dicts back that pages add a line to."""
    dicts: tuple[dict[str, Any], ...] = (READERS, FORMATS, ENGINES)
    before = [dict(one) for one in dicts]
    yield
    for one, content in zip(dicts, before, strict=True):
        one.clear()
        one.update(content)


# What the blocks of a page print, beside what they assert themselves.
SAID = {
    "README.md": [
        "already done: demo/out/runs/first",
        "[CLS]",
        "ok: no damage (forgery is not looked for): 6 files",
        "0 folders, 0 bytes",
        "'rows_read': 600",
    ],
    "engines.md": ["pieces - gigatoken does not take it: its model is WordPiece", " tokens compared"],
    "growing.md": ["nothing new: growing/runs/2026-11-25", "2 generations of growing", "['2026-11-23', '2026-11-24']"],
    "library.md": ["null_text", "'bucket': 64", "'attention_mask': [1, 1, 1, 0, 0]", "{'rows_read': ", "\n600\n"],
    "own-format.md": [
        "done: paragraphs/runs/",
        "ok: no damage (forgery is not looked for): 3 files, 600 rows",
        "done: demo/out/runs/slow",
    ],
    "reading.md": [
        "too many dead letters: 2 of 3 rows",
        '"reason": "bad_json"',
        '"position": 17',
        "done: lenient/runs/",
    ],
    "reruns.md": [
        "already done",
        "-2\n",
        "nightly is committed already",
        "ok: no damage (forgery is not looked for): 6 files",
        "1 difference",
        "removed",
    ],
    "truncation-and-padding.md": ["done: windows/runs/w", "further windows"],
}


@pages
def test_every_command_and_every_block_runs(page, demo, registries, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    said = run_page(page, tmp_path, demo)
    assert [part for part in SAID.get(page.name, []) if part not in said] == []


@pages
def test_links_lead_somewhere(page):
    assert broken_links(page) == []


def test_every_page_is_linked_from_the_readme():
    text = PAGES[0].read_text("utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in text] == []


def is_beams(option: str) -> bool:
    try:
        check_options({}, [option])
    except ConfigError as error:
        return "no such option" not in str(error)
    return True


@pages
def test_options_exist(page):
    commands = next(a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    own = {option for command in commands.values() for option in command._option_string_actions}
    text = without_cloud(page)
    for option in set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) - own:
        assert is_beams(option), f"{page.name}: {option}"
    named = set(re.findall(r"\boblong ([a-z]+)\b", " ".join(re.findall(r"`[^`\n]+`", text))))
    assert named <= {*commands, *LATER}


def test_make_targets_exist_and_the_environment_is_where_the_readme_looks():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    text = "".join(page.read_text("utf-8") for page in PAGES)
    targets = set(re.findall(r"\bmake (\w+)$", text, re.MULTILINE)) | set(re.findall(r"`make (\w+)", text))
    assert {"demo", "test", "check"} <= targets
    assert targets <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert "VENV = .venv\n" in makefile


def test_dead_letters_are_the_closed_list():
    assert [row[0] for row in table(ROOT / "docs/reading.md", "reason")] == list(REASONS)


def test_formats_of_inputs_are_those_that_can_be_read():
    rows = table(ROOT / "docs/reading.md", "format")
    assert {row[0]: tuple(re.findall(r"`([^`]+)`", row[1]) or [row[1]]) for row in rows} == {
        name: reader.suffixes for name, reader in READERS.items()
    }
    text = without_blocks(ROOT / "docs/reading.md")
    assert all(f"`{suffix}`" in text for suffix in CODECS)


def test_manifest_is_described_field_by_field(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(demo.parent)
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"text": null}\n')
    sections = {
        "read": {"files": str(tmp_path / "bad.jsonl")},
        "tokenize": {"tokenizer": str(demo / "tokenizer")},
        "write": {"path": str(tmp_path / "out")},
        "run": {"max_dead_letters": 1.0},
    }
    manifest = run(load_config(sections))
    fields = {name: set(value) for name, value in manifest.items() if isinstance(value, dict)}
    fields |= {name: set(value[0]) for name, value in manifest.items() if isinstance(value, list) and value}
    rows = [row[0] for row in table(ROOT / "docs/output.md", "field")]
    assert {name.partition(".")[0] for name in rows} == set(manifest)
    for name in ("tokenizer", "inputs", "files", "dead_letters", "schema", "totals"):
        said = {row.partition(".")[2] for row in rows if row.startswith(f"{name}.")}
        assert said == fields[name], name


def test_boundaries_named_in_the_text_are_those_of_the_code():
    assert load_config({}).bucket == Bucketing(boundaries="doubling")
    with pytest.raises(ConfigError, match="not available yet"):
        Bucketing(boundaries="auto")


@pages
def test_pages_are_plain(page):
    text = page.read_text("utf-8")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert max(map(len, text.splitlines())) <= 400
    assert all(block.text.strip() for block in blocks(page))
