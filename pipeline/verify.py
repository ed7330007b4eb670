"""Verify: every file that a manifest names is read again, and everything said of it checked.

It finds damage, not forgery: whoever can write the files can write a manifest that fits them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import google_crc32c

from pipeline.contradictions import Claims, contradictions, read_claims
from pipeline.manifest import ATTEMPTS, MANIFEST, folder_of, read_whole, seal, tokenizer_files
from pipeline.printable import printable
from pipeline.reading_back import UNREADABLE, count_letters, place_of, read_batches, told
from pipeline.shard_rows import ShardRows
from transforms.arrays.errors import ConfigError, JobError, OblongError, StoreError
from transforms.arrays.facts import plain_tokenizer
from transforms.files import list_folder, open_binary, open_copy
from transforms.tokenizer_files import TOKENIZER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.manifest import Manifest

CHUNK = 8 << 20


class Verdict(NamedTuple):
    """What a run looks like when it is read again.

    Attributes:
        files: Files read.
        rows: Rows read, of all formats.
        problems: What differs from the manifest, each naming its file.
        leftovers: Folders of other attempts in the run's folder, with the number of their files: no part of the data
            set and no damage to it.
    """

    files: int
    rows: int
    problems: list[str]
    leftovers: dict[str, int] = {}  # noqa: RUF012 - nobody changes it


def verify(run: str) -> Verdict:
    """Reads a run again and compares it with its manifest.

    Nothing outside of the run's folder is read, and of each file at most a row group, or some MB, are held.

    Args:
        run: The run's folder, or its manifest.json.

    Returns:
        The verdict.

    Raises:
        ConfigError: There is no manifest.
        StoreError: The file system does not give it.
    """
    try:
        manifest, data = read_whole(run)
    except (ConfigError, StoreError):
        raise
    except OblongError as error:
        return Verdict(0, 0, [printable(str(error))])
    verdict = _compare(folder_of(run), manifest)
    if not _is_laid_out(manifest, data):
        verdict.problems.insert(0, f"{MANIFEST}: says what it should, but white space in it has changed")
    return verdict._replace(problems=[printable(problem) for problem in verdict.problems])


def _is_laid_out(manifest: Manifest, data: bytes) -> bool:
    """Whether a manifest's bytes are those that were written, or another JSON writer's that laid all of it out anew."""
    if data == seal({key: value for key, value in manifest.items() if key != "manifest_crc32c"}):
        return True
    layouts: list[dict[str, Any]] = [{"separators": (",", ":")}, *({"indent": indent} for indent in (None, 2, 4))]
    return any(
        data.removesuffix(b"\n") == json.dumps(manifest, ensure_ascii=plain, **layout).encode()
        for layout in layouts
        for plain in (False, True)
    )


def _compare(folder: str, manifest: Manifest) -> Verdict:
    # One listing, not a request for each file.
    sizes = {found.path.removeprefix(f"{folder}/"): found.bytes for found in list_folder(folder)}
    strangers, leftovers = _strangers(sizes, manifest)
    problems = [*strangers, *_tokenizer(folder, sizes, manifest)]
    claims = None
    try:
        claims = read_claims(manifest)
        problems += contradictions(manifest, claims)
    except JobError as error:
        problems.append(str(error))
    except UNREADABLE as error:  # numbers that fit no array
        problems.append(f"{MANIFEST}: no configuration of a job: {told(error)}")
    rows, letters = 0, Counter[str]()
    files = {file["path"]: file for file in (*manifest["files"], *manifest["dead_letters"])}
    for path, file in files.items():
        counted, wrong = _file(folder, sizes.get(path), file, manifest, claims, letters)
        rows += counted
        problems += wrong
    problems += _reasons(letters, manifest, complete=not problems)
    return Verdict(len(files), rows, list(dict.fromkeys(problems)), leftovers)


def _strangers(sizes: dict[str, int], manifest: Manifest) -> tuple[list[str], dict[str, int]]:
    """Files in the run's folder that the manifest does not name; those of other attempts are counted apart."""
    known = {file["path"] for file in (*manifest["files"], *manifest["dead_letters"])}
    known |= {MANIFEST, *(path for path, _ in tokenizer_files(manifest))}
    strangers, leftovers = [], Counter[str]()
    for name in sizes:
        top, slash, _ = name.partition("/")
        if slash and top.startswith(ATTEMPTS) and top != manifest["attempt"]:
            leftovers[printable(top)] += 1
        elif name not in known:
            strangers.append(f"{name}: in the run's folder, but the manifest does not name it")
    return strangers, dict(leftovers)


def _tokenizer(folder: str, sizes: dict[str, int], manifest: Manifest) -> Iterator[str]:
    """The tokenizer's files are those that were used, and have as many tokens as is said."""
    for path, expected in tokenizer_files(manifest):
        if not sizes.get(path):  # what has no bytes may be a pipe, and reading it could last for ever
            yield f"{path}: {'empty' if path in sizes else 'missing'}"
            continue
        try:
            with open_binary(place_of(folder, path)) as stream:
                data = stream.read()
        except JobError as error:
            if isinstance(error, StoreError):
                raise
            yield str(error)
            continue
        except OSError as error:
            yield f"{path}: cannot be read: {error}"
            continue
        if hashlib.sha256(data).hexdigest() != expected:
            yield f"{path}: its sha256 differs"
        elif path.endswith(f"/{TOKENIZER}"):
            yield from (f"{path}: {problem}" for problem in _vocabulary(data, manifest["tokenizer"]["vocab_size"]))


def _vocabulary(tokenizer_json: bytes, expected: int) -> Iterator[str]:
    try:
        size = plain_tokenizer(tokenizer_json).get_vocab_size(with_added_tokens=True)
    except ConfigError as error:
        yield str(error)
        return
    if size != expected:
        yield f"has {size} tokens, expected {expected}"


def _file(
    folder: str,
    found: int | None,
    file: dict[str, Any],
    manifest: Manifest,
    claims: Claims | None,
    letters: Counter[str],
) -> tuple[int, list[str]]:
    """Compares a file, of which the listing gave the size; returns how many rows it has, and what is wrong.

    Reasons of dead letters are added to `letters`.
    """
    name = file["path"]
    if found is None:
        return 0, [f"{name}: missing"]
    if found != file["bytes"]:
        return 0, [f"{name}: has {found} bytes, expected {file['bytes']}"]
    try:
        with open_copy(place_of(folder, name)) as stream:
            crc = 0
            while chunk := stream.read(CHUNK):
                crc = google_crc32c.extend(crc, chunk)
            if f"{crc:08x}" != file["crc32c"]:
                return 0, [f"{name}: its crc32c is {crc:08x}, not {file['crc32c']}"]
            stream.seek(0)
            rows, wrong = _contents(stream, folder, file, manifest, claims, letters)
    except StoreError:
        raise
    except JobError as error:
        return 0, [str(error)]
    except UNREADABLE as error:
        return 0, [f"{name}: cannot be read: {told(error)}"]
    return rows, [f"{name}: {problem}" for problem in wrong]


def _contents(
    stream: BinaryIO,
    folder: str,
    file: dict[str, Any],
    manifest: Manifest,
    claims: Claims | None,
    letters: Counter[str],
) -> tuple[int, list[str]]:
    """Compares a file's rows; returns how many there are, and what is wrong."""
    if "format" not in file:
        counts = count_letters(stream, file["path"])
        letters.update(counts)
        rows = sum(counts.values())
        return rows, [] if rows == file["rows"] else [f"has {rows} rows, expected {file['rows']}"]
    if claims is None or file["bucket"] not in map(claims.layout.label, range(len(claims.layout.rows))):
        return 0, []  # which was said already
    shard = ShardRows(file, claims)
    for batch in read_batches(folder, file, manifest, stream):
        if not shard.add(batch):
            return shard.rows, list(shard.problems)
    shard.close()
    return shard.rows, list(shard.problems)


def _reasons(letters: Counter[str], manifest: Manifest, *, complete: bool) -> Iterator[str]:
    """Dead letters are as many of each reason as the totals say; not judged where a file could not be read."""
    said = manifest["totals"]["dead_letters"]
    for reason in sorted({*letters, *said}) if complete else ():
        if letters[reason] != said.get(reason, 0):
            what = f"totals.dead_letters.{reason} is {said.get(reason, 0)}"
            yield f"{MANIFEST}: {what}, the files have {letters[reason]}"
