import re

import pytest
import yaml

from tests.clouds import BUCKET
from tests.markdown import ROOT, blocks, make_small_demo, run_page, without_blocks
from tests.test_docs import is_beams
from transforms import files

PAGE = ROOT / "docs" / "clouds.md"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo, cut short."""
    folder = tmp_path_factory.mktemp("pages")
    make_small_demo(folder)
    return folder / "demo"


def test_every_command_runs(cloud, demo, tmp_path, monkeypatch):
    root = f"{cloud.scheme}://{BUCKET}"
    for folder, there in (("corpus", "pairs"), ("tokenizer", "tokenizer")):
        cloud._replace(root=root).put(demo / folder, there)
    config = {"read": {"files": f"{root}/pairs/*.jsonl"}, "tokenize": {"tokenizer": f"{root}/tokenizer"}}
    files.write_bytes(f"{root}/config.yaml", yaml.safe_dump(config | {"write": {"path": f"{root}/out"}}).encode())
    commands = [line for block in blocks(PAGE) for line in block.text.splitlines() if f"{cloud.scheme}://" in line]
    assert len(commands) >= 2
    text = "\n".join(commands).replace("--hdfs_host=namenode --hdfs_port=9870 --hdfs_user=me", " ".join(cloud.flags))
    page = tmp_path / "clouds.md"
    page.write_text(f"```bash\n{text}\n```\n")
    monkeypatch.chdir(tmp_path)
    said = run_page(page, tmp_path, demo)
    assert f"done: {root}/out/runs/first" in said
    assert "ok: " in said


def test_extras_and_options_that_are_named_exist():
    text = PAGE.read_text("utf-8")
    extras = re.findall(r"^(\w+) = \[$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert {"gcp", "aws", "hdfs"} == set(re.findall(r"oblong\[(\w+)\]", text)) <= set(extras)
    for option in re.findall(r"--(?:s3|hdfs|impersonate)\w+", text):
        assert is_beams(f"{option}=x") or is_beams(option), option
    assert all(f"`{scheme}://" in without_blocks(PAGE) for scheme in ("gs", "s3", "hdfs"))
