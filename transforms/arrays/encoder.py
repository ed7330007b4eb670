"""A process that does nothing but encode: it may die of a text, and takes nobody with it."""

from __future__ import annotations

import os
import queue
import signal
import struct
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from transforms.arrays.engines import choose_engine, what_failed
from transforms.arrays.errors import JobError, OblongError
from transforms.arrays.facts import plain_tokenizer
from transforms.arrays.guard import Guard

if TYPE_CHECKING:
    from transforms.arrays.engines import Engine

HEADER = struct.Struct("<cQ")  # of a frame: its kind, and how many bytes come

# Kinds of frames. First comes a tokenizer.json, for an engine that is to be proved or was before; then come texts.
TOKENIZER, PROVED, TEXTS = b"T", b"P", b"S"
READY, IDS, FAILED, STOP = b"R", b"I", b"F", b"J"  # the answers

CHECKED = b"tokens_checked"  # beside ids: how many the guard compared


def write_frame(stream: BinaryIO, kind: bytes, content: Any) -> None:
    """Writes a frame.

    Args:
        stream: A pipe.
        kind: One of the kinds of frames.
        content: Bytes, or a buffer of Arrow's.
    """
    view = memoryview(content)
    stream.write(HEADER.pack(kind, view.nbytes))
    stream.write(view)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Reads a frame.

    Args:
        stream: A pipe.

    Returns:
        Its kind and its content.

    Raises:
        EOFError: The other side has gone.
    """
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    kind, size = HEADER.unpack(header)
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return kind, content


def to_ipc(name: str, array: Any, metadata: dict[bytes, bytes] | None = None) -> Any:
    """Spells an array out as a stream of Arrow's, which trims what it is a slice of.

    Args:
        name: Of its column.
        array: The array.
        metadata: What goes beside it.

    Returns:
        A buffer.
    """
    schema = pa.schema([pa.field(name, array.type)], metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([array], schema=schema))
    return sink.getvalue()


def from_ipc(content: bytes) -> Any:
    """Reads what `to_ipc` spelled out; nothing is copied.

    Returns:
        A RecordBatch of one column.

    >>> from_ipc(to_ipc("text", pa.array(["a", "b", "c"]).slice(1, 1))).to_pydict()
    {'text': ['b']}
    """
    return pa.ipc.open_stream(pa.py_buffer(content)).read_next_batch()


def main() -> None:
    """Encodes what comes on stdin until that is closed: by whoever asks, or because they died."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for who asks, and stdin tells of their end
        signal.signal(number, signal.SIG_IGN)
    _go_first()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand between answers
    frames: queue.Queue[tuple[bytes, bytes]] = queue.Queue(1)
    threading.Thread(target=_receive, args=(sys.stdin.buffer, frames), daemon=True).start()
    try:
        kind, tokenizer_json = frames.get()
        engine = choose_engine(plain_tokenizer(tokenizer_json), sys.argv[1], proved=kind == PROVED).engine
    except OblongError as error:
        write_frame(answers, STOP, str(error).encode())
        return
    write_frame(answers, READY, b"")
    while True:
        texts = from_ipc(frames.get()[1]).column(0)
        write_frame(answers, *answer(engine, texts))


def _go_first() -> None:
    """Where memory runs out, Linux is to end this process before the one that asks."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 - no path of anybody's
            score.write("500")
    except OSError:
        return


def _receive(stream: BinaryIO, frames: queue.Queue[tuple[bytes, bytes]]) -> None:
    """Takes frames in, and leaves at their end, whatever is being encoded."""
    try:
        while True:
            frames.put(read_frame(stream))
    except (EOFError, OSError):
        os._exit(0)


def answer(engine: Engine, texts: Any) -> tuple[bytes, Any]:
    """Encodes texts for somebody in another process.

    Args:
        engine: The engine.
        texts: An Arrow string array without nulls.

    Returns:
        A frame's kind and content: ids, or what was raised.
    """
    try:
        ids = engine.encode(texts)
    except JobError as error:
        return STOP, str(error).encode()
    except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception
        return FAILED, what_failed(error).encode(errors="replace")
    checked = engine.take_checked() if isinstance(engine, Guard) else 0
    return IDS, to_ipc("ids", ids.to_arrow(), {CHECKED: str(checked).encode()})
