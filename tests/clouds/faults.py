"""Faults between a client and a service: a proxy that forwards every request, and now and then does worse.

What is to go wrong is a plan: a function that gets the number of a request, its method and its path, and gives the name
of a fault, or None.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import random
import re
import select
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Plan = Callable[[int, str, str], str | None]

STALL = 30  # seconds of silence, at the most

# What Google's library asks for of its own, in a thread beside, and whose answer nobody waits for.
BESIDES = re.compile(r"^GET /storage/v1/b/\w+\?projection")


class Answer(NamedTuple):
    """What the service answered."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


def busy(status: int) -> Callable[[Proxied], None]:
    """Says so in the place of the service, which never hears of it."""

    def say(proxied: Proxied) -> None:
        proxied.answer(Answer(status, "Busy", [("Content-Type", "text/plain")], b"a proxy's own words"))

    return say


def close_before(proxied: Proxied) -> None:
    """Closes the connection; the service never hears of it."""
    proxied.hang_up()


def stall(proxied: Proxied) -> None:
    """Says nothing until the client gives up; the service never hears of it."""
    proxied.wait()
    proxied.hang_up()


def lose_answer(proxied: Proxied) -> None:
    """Lets the service do what it was asked for, and closes the connection without its answer."""
    proxied.forward()
    proxied.hang_up()


def break_off(proxied: Proxied) -> None:
    """Promises all of the answer and gives half of it."""
    proxied.answer(proxied.forward(), upto=0.5)
    proxied.hang_up()


def stall_midway(proxied: Proxied) -> None:
    """Gives half of the answer, and then nothing until the client gives up."""
    proxied.answer(proxied.forward(), upto=0.5)
    proxied.wait()
    proxied.hang_up()


def shorten(proxied: Proxied) -> None:
    """Gives half of the answer as if that were all."""
    answer = proxied.forward()
    proxied.answer(answer._replace(body=answer.body[: len(answer.body) // 2]))


def flip(proxied: Proxied) -> None:
    """Changes a byte of the answer; for bodies that are data."""
    answer = proxied.forward()
    middle = len(answer.body) // 2
    body = (
        answer.body[:middle] + bytes(byte ^ 1 for byte in answer.body[middle : middle + 1]) + answer.body[middle + 1 :]
    )
    proxied.answer(answer._replace(body=body))


def cut_upload(proxied: Proxied) -> None:
    """Breaks off in the middle of what is sent; only HDFS keeps halves."""
    if proxied.server.keeps_halves:
        proxied.body = proxied.body[: len(proxied.body) // 2]
        proxied.forward()
    proxied.hang_up()


FAULTS: dict[str, Callable[[Proxied], None]] = {
    **{str(status): busy(status) for status in (503, 429, 500, 408)},
    "closed": close_before,
    "stalled": stall,
    "lost": lose_answer,
    "half": break_off,
    "stalled midway": stall_midway,
    "short": shorten,
    "cut upload": cut_upload,
    "flipped": flip,
}

# What an honest network does: a byte that changes unseen is for checksums, and those are not everywhere.
HONEST = tuple(name for name in FAULTS if name != "flipped")


def nth(number: int, fault: str) -> Plan:
    """Only one request goes wrong, counted from 1."""
    return lambda n, method, path: fault if n == number else None


def always(fault: str, pattern: str = "") -> Plan:
    """Every request goes wrong whose method and path match."""
    return lambda n, method, path: fault if re.search(pattern, f"{method} {path}") else None


def from_the(number: int, fault: str, pattern: str) -> Plan:
    """Of the requests whose method and path match, all go wrong from one on, counted from 1."""
    seen = itertools.count(1)
    return lambda n, method, path: fault if re.search(pattern, f"{method} {path}") and next(seen) >= number else None


def at_random(seed: int, share: float, faults: Sequence[str] = HONEST) -> Plan:
    """So many of all requests go wrong."""
    rng = random.Random(seed)
    return lambda n, method, path: rng.choice(faults) if rng.random() < share else None


class Proxied(BaseHTTPRequestHandler):
    """A request on its way."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms
    server: Proxy
    body: bytes

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):  # clients that no longer wait
            super().handle_one_request()

    def _pass_on(self) -> None:
        self.body = self._body()
        fault = self.server.fault_of(self.command, self.path)
        if fault is None:
            self.answer(self.forward())
        else:
            FAULTS[fault](self)

    def __getattr__(self, name: str) -> Any:
        """Every method is passed on."""
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def forward(self) -> Answer:
        """Asks the service."""
        hop = ("connection", "content-length", "expect", "transfer-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
        connection = http.client.HTTPConnection("localhost", self.server.upstream, timeout=60)
        with contextlib.closing(connection):
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in (headers | {"Content-Length": str(len(self.body)), "Connection": "close"}).items():
                connection.putheader(name, value)
            connection.endheaders(self.body)
            response = connection.getresponse()
            drop = ("connection", "content-length", "date", "server", "transfer-encoding", "keep-alive")
            kept = [(name, value) for name, value in response.getheaders() if name.lower() not in drop]
            if self.command == "HEAD":
                kept.append(("Content-Length", response.getheader("Content-Length") or "0"))
            return Answer(response.status, response.reason, kept, response.read())

    def answer(self, answer: Answer, upto: float = 1) -> None:
        """Answers; of the body only so much comes."""
        self.send_response(answer.status, answer.reason)
        for name, value in answer.headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: int(len(answer.body) * upto)])

    def wait(self) -> None:
        """Waits until the client ends the connection."""
        self.wfile.flush()
        select.select([self.connection], [], [], STALL)

    def hang_up(self) -> None:
        """Ends the connection."""
        self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


class Proxy(ThreadingHTTPServer):
    """Stands between clients and a service.

    Args:
        upstream: The service's port.
        keeps_halves: Whether the service keeps what it got of an upload that broke off.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream: int, *, keeps_halves: bool) -> None:
        super().__init__(("localhost", 0), Proxied)
        self.upstream = upstream
        self.keeps_halves = keeps_halves
        self.plan: Plan | None = None
        self.number = 0  # of requests under this plan
        self.hit = 0  # of them went wrong
        self._lock = threading.Lock()

    def fault_of(self, method: str, path: str) -> str | None:
        """What is to go wrong with the next request."""
        if BESIDES.search(f"{method} {path}"):
            return None
        with self._lock:
            self.number += 1
            fault = None if self.plan is None else self.plan(self.number, method, path)
            self.hit += fault is not None
            return fault

    @contextlib.contextmanager
    def going_wrong(self, plan: Plan | None) -> Iterator[None]:
        """Follows a plan for a while."""
        with self._lock:
            self.plan, self.number, self.hit = plan, 0, 0
        try:
            yield
        finally:
            with self._lock:
                self.plan = None


@contextlib.contextmanager
def proxied(upstream: int, *, keeps_halves: bool = False) -> Iterator[Proxy]:
    """Starts a proxy before a service on this machine."""
    with Proxy(upstream, keeps_halves=keeps_halves) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
