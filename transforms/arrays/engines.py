"""Engines that turn texts into ids: one class each, and all of them give what `tokenizers` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from transforms.arrays.errors import ConfigError, EngineFailure, JobError, NotInstalled, Refusal, one_of
from transforms.arrays.giga import GigatokenEngine
from transforms.arrays.guard import SHARE, Guard
from transforms.arrays.pieces import PiecesEngine
from transforms.arrays.plain import TokenizersEngine
from transforms.arrays.probe import first_difference, probe_texts
from transforms.arrays.ragged import Ragged
from transforms.arrays.spec import Spec

if TYPE_CHECKING:
    from tokenizers import Tokenizer


# Into which texts are divided to find the one that fails. Each level of division costs a failure, which may be the
# death of a process: of 8,192 texts one is found by four of them, by halving it would take fourteen.
PARTS = 32


class Tokenization(Spec, frozen=True):
    """How texts become ids: the section `tokenize`.

    Attributes:
        tokenizer: A tokenizer.json, or a folder with one and, if there, tokenizer_config.json.
        ignore: Keys of tokenizer_config.json that may disagree with tokenizer.json.
        add_special_tokens: Whether rows get the template's special tokens.
        engine: "auto", or the name of an engine.
    """

    tokenizer: str = "tokenizer.json"
    ignore: tuple[str, ...] = ()
    add_special_tokens: bool = True
    engine: str = "auto"

    def __post_init__(self) -> None:
        """Refuses an engine that does not exist."""
        one_of(self.engine, ["auto", *ENGINES], "tokenize.engine")


class Failure(NamedTuple):
    """A text that an engine could not encode.

    Attributes:
        row: Its number in the array.
        message: What the engine said.
    """

    row: int
    message: str


class Engine(Protocol):
    """What turns texts into ids.

    An engine may have `checked_share`, the share of rows on which it is compared with `tokenizers` while the job runs;
    without one it is `guard.SHARE`.

    Attributes:
        name: As in `tokenize.engine`.
    """

    name: str

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts without special tokens.

        Args:
            texts: An Arrow string array without nulls.

        Returns:
            The ids of each text, int32.
        """


def encode_or_bisect(engine: Engine, texts: Any) -> tuple[Ragged, list[Failure]]:
    """Encodes texts, finding those on which the engine fails.

    What fails, by a panic in native code too, is divided into `PARTS` until it is one row, so one text never takes
    others with it.

    Args:
        engine: The engine.
        texts: An Arrow string array without nulls.

    Returns:
        The ids of each text, int32, with no ids for the failed ones; and the failures in row order.
    """
    try:
        return engine.encode(texts), []
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, JobError):
        raise
    except BaseException as error:
        if not len(texts):
            raise
        if len(texts) == 1:
            return Ragged.of([[]]), [Failure(0, what_failed(error))]
    size = -(-len(texts) // PARTS)
    parts: list[Ragged] = []
    failures: list[Failure] = []
    for start in range(0, len(texts), size):
        ids, failed = encode_or_bisect(engine, texts.slice(start, size))
        parts.append(ids)
        failures += [Failure(failure.row + start, failure.message) for failure in failed]
    return Ragged.concatenate(parts), failures


def what_failed(error: BaseException) -> str:
    """Says what an engine raised, the same whichever process it was raised in.

    >>> what_failed(ValueError("no such token"))
    'ValueError: no such token'
    """
    return str(error) if isinstance(error, EngineFailure) else f"{type(error).__name__}: {error}"


class Choice(NamedTuple):
    """The engine that encodes, and why it is this one.

    Attributes:
        engine: The engine, guarded where it is not `tokenizers` itself.
        name: Its name.
        reason: Why, a sentence for plans, logs and the manifest.
    """

    engine: Engine
    name: str
    reason: str


def choose_engine(tokenizer: Tokenizer, name: str = "auto", *, extras: bool = True, proved: bool = False) -> Choice:
    """Chooses the engine for a tokenizer: the fastest that takes it and gives what `tokenizers` gives.

    Args:
        tokenizer: Without truncation and padding.
        name: An engine's name, or "auto".
        extras: Whether all who encode have the extras that are installed here.
        proved: Whether the named engine was found right before: see `make_engine`.

    Returns:
        The engine and the reason.

    Raises:
        ConfigError: The engine that was asked for does not take the tokenizer.
    """
    refusals = []
    for candidate in ENGINES if name == "auto" else [name]:
        try:
            _check_extra(candidate, extras=extras)
            engine = make_engine(tokenizer, candidate, proved=proved and name != "auto")
        except NotInstalled as missing:
            if name != "auto":
                raise ConfigError(f"tokenize.engine: {candidate} is not installed: {missing}") from None
            refusals.append(f"{candidate} is not installed ({missing})")
        except Refusal as refusal:
            if name != "auto":
                raise ConfigError(f"tokenize.engine: {candidate} does not take this tokenizer: {refusal}") from None
            refusals.append(f"{candidate} does not take it: {refusal}")
        else:
            said = "asked for" if name != "auto" else "the fastest that takes this tokenizer"
            return Choice(engine, candidate, "; ".join([*refusals, said]))
    raise ConfigError(f"tokenize.engine: no engine takes this tokenizer: {'; '.join(refusals)}")


def _check_extra(name: str, *, extras: bool) -> None:
    if not extras and getattr(ENGINES[name], "extra", None) is not None:
        raise NotInstalled("workers install the base package alone, without extras")


def make_engine(tokenizer: Tokenizer, name: str, *, proved: bool = False) -> Engine:
    """Makes an engine by its name, proved on texts made from the tokenizer, and guards it.

    Args:
        tokenizer: Without truncation and padding.
        name: The engine's name.
        proved: Whether that proof was given before, for this very tokenizer.

    Returns:
        The engine.

    Raises:
        Refusal: It does not take the tokenizer, or does not give what `tokenizers` gives.
    """
    engine: Engine = ENGINES[name](tokenizer)
    if name == TokenizersEngine.name:
        return engine
    oracle = TokenizersEngine(tokenizer)
    text = None if proved else first_difference(engine, oracle, probe_texts(tokenizer))
    if text is not None:
        raise Refusal(f"it gives other ids than tokenizers for {text!r}")
    return Guard(engine, oracle, getattr(engine, "checked_share", SHARE))


# The fastest first: `auto` takes the first that takes the tokenizer.
ENGINES: dict[str, Any] = {
    GigatokenEngine.name: GigatokenEngine,
    PiecesEngine.name: PiecesEngine,
    TokenizersEngine.name: TokenizersEngine,
}
