"""Doctor: looks whether a job could start, before it is paid for."""

from __future__ import annotations

import platform
import secrets
import shutil
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from packaging.requirements import Requirement

from pipeline.attempt import spill_folder
from pipeline.commands import count
from pipeline.config import load_config
from pipeline.dataflow import check_places
from pipeline.description import VERSIONED
from pipeline.job import prepare
from pipeline.options import check_options, parse_options
from pipeline.reach import Untold, check_image, image_of, reach
from pipeline.resources import check_room
from transforms.arrays.engines import choose_engine
from transforms.arrays.errors import ConfigError, OblongError
from transforms.arrays.facts import pad_token_id, plain_tokenizer
from transforms.files import create_once, is_local, remove_folder, require_store, use_options
from transforms.inputs import Corpus, find_corpus, find_inputs
from transforms.tokenizer_files import facts_of, read_tokenizer_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.config import Config
    from pipeline.job import Job
    from pipeline.options import Checked

Result = TypeVar("Result")


class Finding(NamedTuple):
    """What was found of one thing that a job needs.

    Attributes:
        what: The thing.
        ok: Whether it is as it must be; None where that could not be told.
        detail: What was found, or what is wrong and what to do.
    """

    what: str
    ok: bool | None
    detail: str


def examine(source: str | None, overrides: Sequence[str] = (), flags: Sequence[str] = ()) -> list[Finding]:
    """Looks at everything that a job needs to start; nothing is left behind.

    Args:
        source: The configuration's path; None for defaults.
        overrides: `section.key=value`.
        flags: Beam's options.

    Returns:
        The findings, in the order in which a job would meet them; `ok` is None where one hangs on another that
        failed, or cannot be told.
    """
    found = _Findings()
    found.look("packages", check_packages)
    usable = found.look("file systems", lambda: use_flags(flags))
    config = found.look("configuration", lambda: _configuration(source, overrides))
    checked = found.look("runner", lambda config, _: _runner(config, flags), config, usable)
    tokenizer = found.look("tokenizer", check_tokenizer, config)
    inputs = found.look("inputs", check_inputs, config)
    job = found.look("job", lambda config, checked, *_: _job(config, checked), config, checked, tokenizer, inputs)
    found.look("output", check_output, config)
    found.look("room", check_rooms, checked, job)
    found.look("engine", reach, checked)
    if checked is not None and checked.runner.in_cloud:
        found.look("places", check_reach_of_workers, checked, job)
        found.look("staging", check_staging, checked)
    if checked is not None and image_of(checked):
        found.look("worker image", check_image, checked)
    return found


class _Findings(list[Finding]):
    """Findings as they are made."""

    def look(self, what: str, function: Callable[..., tuple[Result, str] | str | None], *needs: Any) -> Any:
        """Adds a finding.

        Args:
            what: What is looked at.
            function: Gives a detail, alone or behind what later ones need; raises what is wrong; Untold: nobody can
                tell.
            *needs: What it takes, found before; None where that failed.

        Returns:
            What later ones need: for a detail alone, the detail; None where it failed.
        """
        if any(need is None for need in needs):
            self.append(Finding(what, None, "not looked at: something above has to be mended first"))
            return None
        try:
            result = function(*needs)
        except (OblongError, OSError) as error:
            self.append(Finding(what, False, " ".join(str(error).split())))
            return None
        value, detail = result if isinstance(result, tuple) else (result, result)
        self.append(Finding(what, None if isinstance(detail, Untold) else True, str(detail)))
        return value


def check_packages() -> str:
    """Compares the installed packages with what this version of Oblong asks for."""
    wrong = []
    for line in metadata.requires("oblong") or []:
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            try:
                version = metadata.version(need.name)
            except metadata.PackageNotFoundError:
                wrong.append(f"{need.name} is missing")
                continue
            if not need.specifier.contains(version, prereleases=True):
                wrong.append(f"{need.name} is {version}, {need.specifier} is needed")
    if wrong:
        raise ConfigError(f"{'; '.join(wrong)}: pip install --upgrade oblong")
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {metadata.version(name)}" for name in VERSIONED)]
    )


def use_flags(flags: Sequence[str]) -> str:
    """Gives the file systems the options on the command line, before the configuration is read through one."""
    use_options(parse_options(flags))
    extras = {"gcp": "google.cloud.storage", "aws": "boto3", "hdfs": "hdfs"}
    there = [name for name, module in extras.items() if _is_there(module)]
    return f"local disk; extras: {', '.join(there) or 'none'}"


def _is_there(module: str) -> bool:
    from importlib.util import find_spec

    with suppress(ImportError):
        return find_spec(module) is not None
    return False


def _configuration(source: str | None, overrides: Sequence[str]) -> tuple[Config, str]:
    config = load_config(source, overrides)
    return config, source or "defaults and options"


def _runner(config: Config, flags: Sequence[str]) -> tuple[Checked, str]:
    checked = check_options(config.beam, flags)
    use_options(checked.options)
    shown = () if checked.name == "DirectRunner" else checked.chosen
    return checked, " ".join([checked.name, *shown])


def check_tokenizer(config: Config) -> str:
    """Loads the tokenizer, and looks for what the configuration needs of it."""
    files = read_tokenizer_files(config.tokenize.tokenizer)
    facts = facts_of(files, config.tokenize)
    tokenizer = plain_tokenizer(files.tokenizer_json)
    pad = "no padding" if not config.pad.pads else f"pad id {pad_token_id(tokenizer, facts, config.pad.token)}"
    choice = choose_engine(tokenizer, config.tokenize.engine)
    return f"{files.path}: {facts.vocab_size:,} tokens, {pad}, engine {choice.name}"


def check_inputs(config: Config) -> str:
    """Matches the patterns."""
    if config.run.incremental:  # what is in the files is looked at with the job, which knows those that may be half
        corpus = Corpus(find_inputs(config.read, may_be_none=True), {})
    else:
        corpus = find_corpus(config.read)
    kept = f", keeps {', '.join(corpus.kept)}" if corpus.kept else ""
    return f"{count(len(corpus.files), 'file')}, {count(corpus.bytes, 'byte')}{kept}"


def _job(config: Config, checked: Checked) -> tuple[Job, str]:
    job = prepare(config, extras=not checked.staged)
    return job, f"run {job.run_id}" + "".join(f"; {note}" for note in job.notes)


def check_output(config: Config) -> str:
    """Writes something where the output goes, once and not again, and removes it."""
    path = config.write.path
    require_store(path, "write.path", to_write=True)
    if is_local(path):
        folder = next(parent for parent in (Path(path).absolute(), *Path(path).absolute().parents) if parent.exists())
        _write_once(str(folder), "write.path")
        return f"{path}: can be written, {shutil.disk_usage(folder).free:,} bytes free"
    _write_once(path, "write.path")
    return f"{path}: can be written, and a name is given once only"


def _write_once(folder: str, where: str, *, matters: bool = True) -> None:
    """Writes a file twice under one name; what `matters` is that the second time is refused."""
    own = f"{folder.rstrip('/')}/oblong-doctor-{secrets.token_hex(4)}"
    try:
        first, second = (create_once(f"{own}/file", b"written by oblong doctor\n", f"{own}/scratch") for _ in range(2))
    except (OblongError, OSError) as error:
        raise ConfigError(f"{where}: {folder} cannot be written to: {error}") from error
    finally:
        with suppress(OblongError, OSError):
            remove_folder(own)
    if matters and (not first or second):
        raise ConfigError(
            f"{where}: {folder} lets a file be written over that must be written once; two attempts at a run could "
            "both commit: use another file system"
        )


def check_rooms(checked: Checked, job: Job) -> str:
    """Looks for room for rows on their way to their shards."""
    spills = spill_folder(job, shared_disk=checked.shared_disk)
    if spills is None:
        return "the engine carries the rows" if job.config.run.shuffles else "nothing is shuffled"
    check_room(job, spills)
    return f"enough for what is spilled to {Path(spills).parent}"


def check_reach_of_workers(checked: Checked, job: Job) -> str:
    """Looks whether what is read and written can be seen from a cloud."""
    check_places(job)
    return "inputs and output are where workers see them"


def check_staging(checked: Checked) -> str:
    """Writes a file where the job is staged, and removes it."""
    options = checked.options.get_all_options()
    places = {name: options[name] for name in ("temp_location", "staging_location") if options[name]}
    for name, place in places.items():
        _write_once(place, f"--{name}", matters=False)
    return ", ".join(places.values())
