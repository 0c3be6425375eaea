"""A load generator that costs little itself: prepared bytes over kept-alive sockets, a few processes of a few threads.

The clock runs from the moment all clients are connected to the last answer.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

CLIENTS = 16
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Outcome:
    """`rate` in answers a second, times in milliseconds, `statuses` counts answers by HTTP status (0: none came)."""

    rate: float
    p50: float
    p95: float
    p99: float
    statuses: dict[int, int] = field(default_factory=dict)


def http_request(method: str, path: str, host: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(port: int, requests: Sequence[bytes], *, clients: int = CLIENTS, processes: int = 2) -> Outcome:
    """Send every request once to 127.0.0.1, `clients` at a time; blocks until all are answered."""
    parts = [list(requests[number::clients]) for number in range(clients)]
    start, answers = _FORK.Barrier(processes + 1), _FORK.SimpleQueue()
    running = [
        _FORK.Process(target=_group, args=(port, parts[number::processes], start, answers), daemon=True)
        for number in range(processes)
    ]
    for process in running:
        process.start()
    start.wait(timeout=180)
    started = time.perf_counter()
    results = [answer for _ in running for answer in answers.get()]
    for process in running:
        process.join()
    seconds = max(done for _, done, _ in results) - started
    return outcome([taken for taken, _, _ in results], seconds, Counter(status for _, _, status in results))


def outcome(seconds_each: Sequence[float], seconds: float, statuses: dict[int, int] | None = None) -> Outcome:
    """The figures of one round."""
    times = sorted(taken * 1000 for taken in seconds_each)
    p50, p95, p99 = (quantile(times, part) for part in (0.5, 0.95, 0.99))
    return Outcome(len(times) / seconds, p50, p95, p99, dict(statuses or {}))


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which `part` of an ordered list lies; 0 for an empty one."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def _group(port: int, group: list[list[bytes]], start: object, answers: object) -> None:
    results: list[list[tuple[float, float, int]]] = [[] for _ in group]
    ready = threading.Barrier(len(group) + 1)
    threads = [
        threading.Thread(target=_client, args=(port, part, ready, out))
        for part, out in zip(group, results, strict=True)
    ]
    for thread in threads:
        thread.start()
    start.wait(timeout=180)  # type: ignore[attr-defined]
    ready.wait(timeout=180)
    for thread in threads:
        thread.join()
    answers.put([answer for result in results for answer in result])  # type: ignore[attr-defined]


def _client(port: int, requests: list[bytes], ready: threading.Barrier, out: list[tuple[float, float, int]]) -> None:
    connection = Connection(port)
    ready.wait(timeout=180)
    for request in requests:
        started = time.perf_counter()
        status, _, _ = connection.ask(request)
        done = time.perf_counter()
        out.append((done - started, done, status))
    connection.close()


class Connection:
    """One kept-alive connection, opened again when it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = self._open()

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """(status, headers in small letters, body); status 0 when no answer came."""
        try:
            self._socket.sendall(request)
            status, headers, body = self._answer()
        except (OSError, ValueError):
            self._socket.close()
            self._socket = self._open()
            return 0, {}, b""
        if headers.get("connection", "").lower() == "close":
            self._socket.close()
            self._socket = self._open()
        return status, headers, body

    def close(self) -> None:
        self._socket.close()

    def _open(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _answer(self) -> tuple[int, dict[str, str], bytes]:
        data = self._more(b"")
        while b"\r\n\r\n" not in data:
            data = self._more(data)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            body = self._more(body)
        return int(lines[0].split(" ", 2)[1]), headers, body

    def _more(self, data: bytes) -> bytes:
        got = self._socket.recv(65536)
        if not got:
            raise ValueError("closed")
        return data + got


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process and its children have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(processor_time(int(child)) for child in children)
