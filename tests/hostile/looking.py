"""What must hold of an answer whatever was sent, and of everything that was written down on the way.

Never a server error; never written into a page as markup; a refusal repeats nothing; no mark and no token in a log, the
broker or the metrics.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import redis

from coordinator import live
from tests.unfolded import unfolded

#: Long enough to be found again, and unlike anything on a page.
MARK = "zq7"
#: Sentences of a 503 that are true of a machine under such a load; any other is a fault, with the log's word on it.
HONEST = ("Several files are coming in", "The disk is nearly full", "Our clock is being checked")
_LINKS = ("href", "src", "action", "formaction", "xlink:href", "data", "poster", "background")


@dataclass
class Tally:
    """Answers by door and status, and everything that must not be."""

    answers: dict[tuple[str, int], int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    not_ready: list[str] = field(default_factory=list)

    def count(self, door: str, status: int) -> None:
        self.answers[door, status] = self.answers.get((door, status), 0) + 1

    def lines(self) -> Iterator[str]:
        for (door, status), number in sorted(self.answers.items()):
            yield f"{door} {status}: {number}"
        yield from self.faults or ["no fault"]

    def short(self) -> Iterator[str]:
        """Answers by status alone, and the first faults."""
        by_status: dict[int, int] = {}
        for (_door, status), number in self.answers.items():
            by_status[status] = by_status.get(status, 0) + number
        yield f"{sum(by_status.values())} requests at {len({door for door, _ in self.answers})} doors: " + ", ".join(
            f"{number} × {status}" for status, number in sorted(by_status.items()))  # fmt: skip
        yield from self.not_ready
        yield from self.faults[:60] or ["no fault"]


class _Page(HTMLParser):
    """What a browser would make of a page: whatever could run, and every text and attribute as it would be read."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[str] = []
        self._scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "script" and not values.get("src", "").startswith("/static/"):
            self.runs.append("a script that is not ours")
        if tag in ("iframe", "object", "embed", "base", "math"):
            self.runs.append(f"<{tag}>")
        self.runs += [f"an attribute {name}" for name in values if name.startswith("on")]
        for name in _LINKS:
            if values.get(name, "").strip().lower().startswith(("javascript:", "vbscript:", "data:text")):
                self.runs.append(f"{name} that runs")


def what_runs(html: str) -> list[str]:
    """Whatever in a page would be executed and is not ours."""
    page = _Page()
    page.feed(html)
    page.close()
    return page.runs


def look(tally: Tally, door: str, name: str, answer: Any, text: str = "") -> None:
    """One answer over HTTP (of `requests`) to one hostile text, or body where `text` is empty."""
    tally.count(door, answer.status_code)
    where = f"{door} {name}"
    if answer.status_code == 503:
        _not_ready(tally, where, answer)
    elif answer.status_code >= 500:
        tally.faults.append(f"{where}: answered {answer.status_code}")
    # A line or header that is too long is refused by the web server itself, in words of its own.
    by_server = answer.status_code in (400, 414, 431) and MARK not in answer.text
    if answer.headers.get("X-Content-Type-Options") != "nosniff" and not by_server:
        tally.faults.append(f"{where}: the type of the answer could be guessed at")
    if len({"Set-Cookie", "a"} & {name.strip() for name in answer.headers}) > 1 or answer.headers.get("a"):
        tally.faults.append(f"{where}: a header of the sender's")
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if kind == "text/html" and MARK in answer.text:  # without it nothing of what was sent is on the page
        tally.faults += [f"{where}: the page has {each}" for each in what_runs(answer.text)]
        if text and set(text) & set("<>\"'") and text in answer.text:
            tally.faults.append(f"{where}: written into the page as it is")
    elif answer.status_code >= 400 and MARK in answer.text:
        tally.faults.append(f"{where}: the refusal repeats what was sent")


def _not_ready(tally: Tally, where: str, answer: Any) -> None:
    """A 503 is told with its door and its reason; one whose reason is not the load is a fault."""
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError):
        found = [each for each in HONEST if each in answer.text]
        detail = found[0] if found else " ".join(re.sub("<[^>]*>", " ", answer.text).split())[:400]
    told = f"{where}: 503 at {answer.headers.get('Date')}: {detail}"
    (tally.not_ready if any(each in detail for each in HONEST) else tally.faults).append(told)


def database_faults(log: Iterable[str]) -> list[str]:
    """What the web processes wrote down of every request that the database did not answer: the cause of its 503."""
    return [line for line in log if '"event": "database"' in line]


class Overhearing:
    """Everything that goes through the broker while it lasts, and what lies in it at the end."""

    def __init__(self, url: str) -> None:
        self._client = live.connect(url)
        self._over = threading.Event()
        self.heard: set[str] = set()
        self.commands = 0
        self._watched: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def watch(self, words: Iterable[str]) -> None:
        """Words to listen for. May be called again."""
        self._watched = tuple(words)

    def __enter__(self) -> Overhearing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._client.set("overheard", "end")
        self._thread.join(10)
        self._client.delete("overheard")

    def _listen(self) -> None:
        try:
            with self._client.monitor() as monitor:
                while not self._over.is_set():
                    said = monitor.next_command()["command"]
                    self.commands += 1
                    whole = unfolded(said)  # Celery wraps what it sends in base64
                    self.heard |= {word for word in self._watched if word in whole}
        except redis.RedisError:
            return

    def left(self) -> str:
        """Every key and value in it now, as one text. (What DUMP gives is compressed, and hides a word.)"""
        found = []
        for key in self._client.scan_iter():
            kind = self._client.type(key)
            found.append(f"{key!r} {_READ[kind.decode() if isinstance(kind, bytes) else kind](self._client, key)}")
        return unfolded("\n".join(found))


#: Kind of a value -> how all of it is read; "none": it went meanwhile.
_READ: dict[str, Callable[[Any, Any], Any]] = {
    "string": lambda client, key: client.get(key), "list": lambda client, key: client.lrange(key, 0, -1),
    "hash": lambda client, key: client.hgetall(key), "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "stream": lambda client, key: client.xrange(key), "none": lambda _client, _key: "",
}  # fmt: skip
