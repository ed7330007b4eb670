"""The project's pages as tests see them: blocks that can be run, tables, headings and links."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.cli import main
from pipeline.config import load_config

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"\s+# exits with (\d)$")
NOT_HERE = ("make ", ". .venv/bin/activate")  # what a test of its own checks
MADE_BEFORE = ["oblong", "demo", "demo"]  # once for all pages, see `make_small_demo`
CLOUD = "shell"  # a block for a cloud: tests/dataflow runs those against stand-ins
OPTIONAL = ("tensorflow",)  # a block that begins with one of these is left out where it is not installed

PACKAGES = ("asyncio", "concurrent", "email", "http", "importlib", "json", "logging", "multiprocessing", "unittest")
ROWS_OF_A_FILE = 150  # of the demo's corpus: enough to fill every bucket


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: Behind the fence.
        line: Where it begins, for messages.
        text: Its content.
    """

    language: str
    line: int
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in order."""
    text = page.read_text("utf-8")
    found = FENCE.finditer(text)
    return [Block(match[1], text.count("\n", 0, match.start()) + 1, match[2]) for match in found]


def without_blocks(page: Path) -> str:
    """A page's text alone."""
    return FENCE.sub("", page.read_text("utf-8"))


def without_cloud(page: Path) -> str:
    """A page's text without the blocks for a cloud, whose commands have options of their own."""
    return FENCE.sub(lambda match: "" if match[1] == CLOUD else match[0], page.read_text("utf-8"))


def table(page: Path, first: str) -> list[list[str]]:
    """The rows of every table of a page whose header begins with a cell; backticks around a cell are taken off."""
    rows: list[list[str]] = []
    inside = False
    for line in without_blocks(page).splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[0] == first:
            inside = True
        elif inside and set(cells[0]) - set("-: "):
            rows.append([cell[1:-1] if re.fullmatch("`[^`]*`", cell) else cell for cell in cells])
    assert rows, f"{page.name} has no table that begins with {first}"
    return rows


def make_small_demo(folder: Path) -> None:
    """Makes the demo in `folder` as the README does, from a few packages of the library, and cuts its files short."""
    library = folder / "library"
    for package in PACKAGES:
        source, ignore = Path(sysconfig.get_path("stdlib"), package), shutil.ignore_patterns("__pycache__", "test*")
        shutil.copytree(source, library / package, ignore=ignore)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sysconfig, "get_path", lambda name: str(library))
        _oblong(MADE_BEFORE, 0)
    for path in (folder / "demo" / "corpus").iterdir():
        rows = path.read_text("utf-8").splitlines(keepends=True)[:ROWS_OF_A_FILE]
        assert len(rows) == ROWS_OF_A_FILE
        path.write_text("".join(rows), "utf-8")


def run_page(page: Path, folder: Path, demo: Path) -> str:
    """Runs the blocks of a page one after the other in a folder, as somebody would who reads it.

    Args:
        page: The page.
        folder: Where to run, and the working directory already; gets a copy of the demo.
        demo: The demo's folder.

    Returns:
        What the commands printed.
    """
    shutil.copytree(demo, folder / "demo")
    names: dict[str, Any] = {"__name__": "__page__"}
    printed = []
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        if block.language == "bash":
            printed.append(_run_commands(block, place))
        elif block.language == "python":
            if block.text.split()[1] in OPTIONAL:
                with contextlib.suppress(pytest.skip.Exception):
                    pytest.importorskip(block.text.split()[1])
                    _execute(block, place, names)
            else:
                printed.append(_execute(block, place, names))
        elif block.language == "yaml":
            (folder / "block.yaml").write_text(block.text, "utf-8")
            load_config(folder / "block.yaml")
        else:
            assert block.language in ("text", CLOUD), f"{place}: a block of {block.language!r} is run by no test"
    return "".join(printed)


def _execute(block: Block, place: str, names: dict[str, Any]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\n" * block.line + block.text, place, "exec"), names)
    return out.getvalue()


def _run_commands(block: Block, place: str) -> str:
    printed = ""
    for command in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(command, comments=True)
        if not words or words == MADE_BEFORE or command.startswith(NOT_HERE):
            continue
        expected = EXPECTED.search(command)
        code = int(expected[1]) if expected else 0
        try:
            printed += _oblong(words, code) if words[0] == "oblong" else _shell(command, code)
        except AssertionError as error:
            raise AssertionError(f"{place}: {command}\n{error}") from None
    return printed


def _oblong(words: list[str], code: int) -> str:
    """Runs the command in this process: starting one for each would take longer than the jobs."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        found = main(words[1:])
    assert found == code, f"exits with {found}, not {code}\n{out.getvalue()}{err.getvalue()}"
    return out.getvalue() + err.getvalue()


def _shell(command: str, code: int) -> str:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"exits with {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    return done.stdout


def anchors(page: Path) -> list[str]:
    """What links can point to on a page: its headings."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings]


def broken_links(page: Path) -> list[str]:
    """Links of a page that lead nowhere: to files that are not there, or to headings that a page has not."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        path, _, anchor = link.partition("#")
        if link.startswith(("http:", "https:")):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken
