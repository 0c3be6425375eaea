"""Has something changed? Answers for open pages that poll, from a small memory per process.

However many pages are open, a process asks the database at most once per question and half second. What is answered is
a version, never content.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

#: Sent by the script of an open page when it looks again: such requests do not keep a session alive.
LIVE_HEADER = "X-Live"
#: How often an open page asks (seconds).
EVERY = 2
#: So long (seconds) an open page may go on asking on the strength of one look at its session and its need to know.
DOOR = 10.0


class Remembered:
    """Values that are good for `seconds`, at most `most` of them; one caller at a time makes a missing one."""

    def __init__(self, seconds: float, *, most: int = 2000) -> None:
        self.seconds, self.most = seconds, most
        self._values: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with self._lock:
            found = self._values.get(key)
            if found is not None and time.monotonic() - found[0] < self.seconds:
                return found[1]
            value = make()
            self._put(key, value)
            return value

    def peek(self, key: Hashable) -> Any:
        """The value if it is there and still good, else None; waits for nobody."""
        found = self._values.get(key)
        return found[1] if found is not None and time.monotonic() - found[0] < self.seconds else None

    def put(self, key: Hashable, value: Any) -> None:
        with self._lock:
            self._put(key, value)

    def _put(self, key: Hashable, value: Any) -> None:
        self._values[key] = (time.monotonic(), value)
        self._values.move_to_end(key)
        while len(self._values) > self.most:
            self._values.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._values.clear()


class Pulse:
    """One per application: `versions` of what is on pages, `doors` of who may look, `watch` of the sweeper.

    `swaps`: what open boards fetch after a change, for all who see the same.
    `glances`: which version a poll of this address with this cookie asks for, since it was last answered the long way.
    """

    def __init__(self) -> None:
        self.versions = Remembered(0.5)
        self.doors = Remembered(3.0)
        self.glances = Remembered(DOOR, most=4000)
        self.watch = Remembered(5.0, most=4)
        self.counts = Remembered(2.0)
        self.swaps = Remembered(1.0, most=200)

    def close_doors(self) -> None:
        """Everybody is looked at again before the next answer of this process."""
        self.doors.forget()
        self.glances.forget()


def tag(*parts: object) -> str:
    """An opaque ETag value: it tells that something changed and not what or how much."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]
