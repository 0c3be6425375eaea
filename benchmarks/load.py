"""A load generator that costs little itself: prepared bytes over kept-alive sockets, a few processes of a few
threads."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """`rate` in requests a second, times in milliseconds, `statuses` counts answers by HTTP status."""

    rate: float
    p50: float
    p95: float
    p99: float
    statuses: dict[int, int]


def http_request(method: str, path: str, host: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(host: str, port: int, requests: Sequence[bytes], *, clients: int = 16, processes: int = 2) -> Outcome:
    """Send every request once, `clients` at a time; blocks until all are answered."""
    parts = [list(requests[number::clients]) for number in range(clients)]
    groups = [parts[number::processes] for number in range(processes)]
    started = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        results = pool.starmap(_group, [(host, port, group) for group in groups])
    seconds = time.perf_counter() - started
    answers = sorted(answer for result in results for answer in result)
    times = [taken * 1000 for taken, _ in answers]
    statuses: dict[int, int] = {}
    for _, status in answers:
        statuses[status] = statuses.get(status, 0) + 1
    return Outcome(len(times) / seconds, *(_quantile(times, part) for part in (0.5, 0.95, 0.99)), statuses)


def _group(host: str, port: int, group: list[list[bytes]]) -> list[tuple[float, int]]:
    results: list[list[tuple[float, int]]] = [[] for _ in group]
    threads = [
        threading.Thread(target=_client, args=(host, port, part, out)) for part, out in zip(group, results, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answer for result in results for answer in result]


def _client(host: str, port: int, requests: list[bytes], out: list[tuple[float, int]]) -> None:
    connection = _connect(host, port)
    for request in requests:
        started = time.perf_counter()
        try:
            connection.sendall(request)
            status = _answer(connection)
        except (OSError, ValueError):
            connection.close()
            connection = _connect(host, port)
            status = 0
        out.append((time.perf_counter() - started, status))
    connection.close()


def _connect(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _answer(connection: socket.socket) -> int:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ValueError("closed")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    missing = int(headers.get("content-length", "0")) - len(body)
    while missing > 0:
        more = connection.recv(min(missing, 65536))
        if not more:
            raise ValueError("closed")
        missing -= len(more)
    if headers.get("connection", "").lower() == "close":
        raise ValueError("closed")
    return int(lines[0].split(" ", 2)[1])


def _quantile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
