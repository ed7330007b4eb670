"""The command `oblong`: what it takes, what it prints, and how it exits."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

from pipeline.commands import (
    DONE,
    FAILED,
    SHORT,
    USAGE,
    demo_command,
    doctor_command,
    gc_command,
    inspect_command,
    run_command,
    runs_command,
    say,
    verify_command,
)
from pipeline.logs import quiet_logs
from pipeline.signals import Stop, heed_signals
from transforms.arrays.errors import ConfigError, OblongError, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


LATER = ("plan", "report")


EPILOG = """examples:
  oblong demo demo --run                          see it work, on a corpus made on the spot
  oblong run --input 'corpus/*.jsonl' --tokenizer tok/ --output out
  oblong run --config job.yaml --set truncate.max_length=256 --direct_num_workers=2
  oblong doctor --config job.yaml                 whether it could start, before it is paid for
  oblong inspect out/runs/RUN --rows 2            what a run holds, decoded back to text
  oblong verify out/runs/RUN                      read every file again

exit codes: 0 done (or done already), 1 the job failed, 2 wrong usage or configuration, 3 verify found a difference,
130 stopped by Ctrl-C, 143 by SIGTERM
"""


class _Usage(argparse.ArgumentParser):
    """A parser that raises what is wrong, for one line and exit 2."""

    def error(self, message: str) -> Any:
        message = re.sub(r"^the following arguments are required: (.*)", r"\1: missing", message)
        raise ConfigError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser of all commands."""
    parser = _Usage(
        prog="oblong",
        description="Ragged text in, rectangular tensors out: tokenize, truncate, bucket, pad, and write shards.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Usage)
    _add_run(commands)
    one = _add(
        commands, "doctor", "look whether a job could start: exit 0, or 2 with what is to be mended", doctor_command
    )
    one.usage = "oblong doctor [--config FILE] [--set SECTION.KEY=VALUE]... [any Beam option]..."
    _add_configuration(one)
    one = _add(commands, "verify", "read every file of a run again; exit 3 when something differs", verify_command)
    one.description = "Read every file of a run again, or of all generations; exit 3 when something differs."
    one.epilog = "It finds damage, not forgery: whoever can write the files can write a manifest that fits them."
    one.add_argument(
        "run", metavar="RUN", help="a run's folder, its manifest.json, or the output of a corpus that grows"
    )
    one = _add(commands, "inspect", "show a run: its totals, buckets and schema, and some rows", inspect_command)
    one.add_argument(
        "run", metavar="RUN", help="a run's folder, its manifest.json, or the output of a corpus that grows"
    )
    one.add_argument("--rows", type=int, default=0, metavar="N", help="decode N rows back to text (default 0)")
    one = _add(commands, "runs", "list the runs of a data set", runs_command)
    one.add_argument("output", metavar="OUTPUT", help="the write.path of the jobs")
    _add_gc(commands)
    one = _add(commands, "demo", "make a small real corpus, a tokenizer and a config; no network", demo_command)
    one.add_argument("folder", metavar="DIR", help="where to make them")
    one.add_argument("--run", action="store_true", help="run the job too, and show a row of what it made")
    return parser


def _add(commands: Any, name: str, text: str, function: Callable[..., int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[:1].upper() + text[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(function=function)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")
    return parser


def _add_run(commands: Any) -> None:
    run = _add(commands, "run", "run a job: read, tokenize, truncate, bucket, pad, write, commit", run_command)
    run.usage = "oblong run [--config FILE] [--set SECTION.KEY=VALUE]... [any Beam option]..."
    run.epilog = "Any other option is Beam's own, e.g. --direct_num_workers=2 --direct_running_mode=multi_processing."
    _add_configuration(run)
    run.add_argument("--force", action="store_true", help="make a new run where the same is committed already")
    run.add_argument(
        "--no_wait", action="store_true", help="leave when the job is submitted, where it goes on by itself"
    )


def _add_configuration(parser: argparse.ArgumentParser) -> None:
    """Adds what names a job: its configuration, and what overrides it."""
    parser.add_argument("--config", metavar="FILE", help="the YAML configuration; without it, defaults")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one key; repeatable"
    )
    for option, key in SHORT.items():
        more: dict[str, Any] = {"action": "append"} if option == "input" else {}
        text = f"short for --set {key}=...{'; repeatable' if more else ''}"
        parser.add_argument(f"--{option}", metavar=option.upper(), help=text, **more)


def _add_gc(commands: Any) -> None:
    text = "show what unfinished attempts left behind, and remove it with --delete"
    gc = _add(commands, "gc", text, gc_command)
    gc.add_argument("output", metavar="OUTPUT", help="the write.path of the jobs")
    gc.add_argument("--keep-last", type=int, metavar="N", help="older committed runs go too (default: keep all)")
    gc.add_argument(
        "--older-than",
        default="7d",
        metavar="AGE",
        help="leave folders with a newer file alone, e.g. 7d, 12h (default 7d; 0: nothing runs now)",
    )
    gc.add_argument("--delete", action="store_true", help="really remove; without it they are only shown")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Without the program's name; None for those of the process.

    Returns:
        The exit code: 0 done, 1 the job failed, 2 the user's mistake, 3 verify found a difference, 130 stopped by
        Ctrl-C, 143 by SIGTERM. The process's own command leaves by itself where it was stopped.
    """
    if arguments is not None:
        return _answer_or_stop(arguments, Stop())
    with heed_signals() as stop:
        code = _answer_or_stop(sys.argv[1:], stop)
        stop.end()
        if code == stop.code:
            _leave(code)
    return code


def _answer_or_stop(arguments: Sequence[str], stop: Stop) -> int:
    """Runs the command line until it ends or is stopped, and says what the latter leaves."""
    try:
        return _answer(arguments, stop)
    except KeyboardInterrupt as interrupt:
        commits = [*arguments[:1]] in (["run"], ["demo"])
        say("; ".join(filter(None, (stop.word, str(interrupt) or ("nothing is committed" if commits else "")))))
        return stop.code


def _answer(arguments: Sequence[str], stop: Stop) -> int:
    """Runs the command line, and says what went wrong."""
    quiet_logs()
    # Threads of tokenizers and forks of a runner do not mix; workers are processes of their own.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        return _dispatch_and_flush(list(arguments), stop)
    except ConfigError as error:
        say(_one_line(error))
        return USAGE
    except OblongError as error:
        say(_one_line(error))
        return FAILED
    except SystemExit as leaving:  # argparse, after --help
        return int(leaving.code or DONE)
    except BrokenPipeError:
        _let_go_of_stdout()
        return DONE
    except Exception as error:  # noqa: BLE001 - a defect: told whole, with the exit code of a failed job
        refused = _refusal(error)
        if refused is not None:
            _let_go_of_stdout()
            say(refused)
            return FAILED
        traceback.print_exc()
        say(f"the job failed: {_one_line(error)}")
        return FAILED


def _let_go_of_stdout() -> None:
    """Leaves nothing for the interpreter's last flush to fail on, where stdout takes nothing any more."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refusal(error: Exception) -> str | None:
    """What this machine refused, where it did: no defect."""
    if not isinstance(error, OSError):
        return None
    from transforms.filesystems.system import refusal

    return refusal(f"{type(error).__name__}: {error}")


def _leave(code: int) -> None:
    """Ends the program at once: workers in threads of it cannot be stopped, and would tell of what is gone."""
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()  # engines that were started for the job end there
    os._exit(code)


def _dispatch_and_flush(arguments: list[str], stop: Stop) -> int:
    try:
        code = _dispatch(arguments)
    except Exception as error:
        if stop.heard:  # what fails then fails of that: a worker that has got the signal too may be heard of first
            raise KeyboardInterrupt from error
        raise
    sys.stdout.flush()  # here, where a reader that has gone is no defect
    return code


def _dispatch(arguments: list[str]) -> int:
    named = next((word for word in arguments if not word.startswith("-")), None)
    if named in LATER:
        raise ConfigError(f"{named}: this command is not available yet")
    parser = make_parser()
    commands = ("run", "doctor", "verify", "inspect", "runs", "gc", "demo")
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands:
        raise ConfigError(f"{arguments[0]}: there is no such command; {suggest(arguments[0], commands)}")
    args, rest = parser.parse_known_args(arguments)
    if args.version:
        from importlib.metadata import version

        print(f"oblong {version('oblong')}")  # noqa: T201
        return DONE
    if args.command is None and rest:
        raise ConfigError(f"{rest[0]}: not understood; see oblong --help")
    if args.command is None:
        parser.print_help()
        return USAGE
    if args.command != "run" and rest and not rest[0].startswith("--"):
        raise ConfigError(f"{rest[0]}: not understood; see oblong {args.command} --help")
    code: int = args.function(args, rest)
    return code


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
