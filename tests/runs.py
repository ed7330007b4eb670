"""What tests of whole jobs share: a tokenizer whose tokens are words, small corpora, and the command."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import google_crc32c
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from pipeline.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterable

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = tuple(f"w{i}" for i in range(100))


def write_tokenizer(folder: Path, **config: Any) -> Path:
    """Writes a tokenizer of a word a token, BERT's template around them: ids 0-3 are special, `w7` is 11."""
    tokenizer = Tokenizer(models.WordLevel({t: i for i, t in enumerate((*SPECIALS, *WORDS))}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    written = {"pad_token": "[PAD]", "model_max_length": 64} | config
    (folder / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in written.items() if v is not None}))
    return folder


def words(count: int, start: int = 0) -> str:
    """A text of so many tokens: `w3 w4 w5` for 3 from 3."""
    return " ".join(WORDS[(start + i) % len(WORDS)] for i in range(count))


def some_rows(count: int, seed: int = 0, longest: int = 40) -> list[dict[str, Any]]:
    """Rows of pairs of many lengths, with kept columns of every type, nulls among them."""
    rng = random.Random(seed)
    return [
        {
            "text": words(rng.randint(0, longest), i),
            "other": words(rng.randint(0, longest), i + 1),
            "label": rng.choice([None, i, -i, 2**40 + i]),
            "score": rng.choice([None, 0.5 * i, -0.25]),
            "easy": rng.choice([None, True, False]),
            "name": rng.choice([None, "", f"Zoë {i} 漢", "a\x00b"]),
        }
        for i in range(count)
    ]


KEEP = {"label": "int64", "score": "float64", "easy": "bool", "name": "string"}


def write_jsonl(path: Path, rows: Iterable[Any]) -> Path:
    """Writes JSON Lines; a string stands as a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return path


class Said(NamedTuple):
    """What the command left: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as the one JSON object that it must be."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


def oblong(*arguments: Any) -> Said:
    """Runs the command in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main([str(argument) for argument in arguments])
    return Said(code, out.getvalue(), err.getvalue())


def set_flags(settings: dict[str, Any]) -> list[str]:
    """Spells settings out as `--set key=value`."""
    return [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]


def manifest_of(said: Said) -> dict[str, Any]:
    """The manifest that a run with --json left."""
    assert said.code == 0, said.err
    manifest: dict[str, Any] = json.loads(Path(said.json["manifest"]).read_text())
    return manifest


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def data_files(run: Path) -> dict[str, bytes]:
    """Every data file of a run's one attempt, the tokenizer's aside, by its name below the attempt."""
    return {
        name.split("/", 1)[1]: data
        for name, data in contents(run).items()
        if "/" in name and name.split("/")[1] != "tokenizer"
    }


def reseal(run: Path, change: Any) -> None:
    """Changes a manifest and gives it a checksum that fits."""
    path = run / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["manifest_crc32c"]
    change(manifest)
    spelled = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    manifest["manifest_crc32c"] = f"{google_crc32c.value(spelled):08x}"
    path.write_text(json.dumps(manifest, ensure_ascii=False))
