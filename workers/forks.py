"""Several processes out of one: modules are loaded once and shared, and one that dies is forked again at once.

The parent does nothing but watch. It opens no database, no broker and no thread, so that forking is always safe.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers.children import die_with_parent

FIRST_BACK_OFF = 0.1
LONGEST_BACK_OFF = 10.0
STEADY_SECONDS = 3.0
STOP_SECONDS = 25.0
_STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WATCHED = _STOPS | {signal.SIGCHLD}


@dataclass(frozen=True)
class Part:
    """One process to keep running: `run` is called in it and gives the exit code. Lower `stop_order` goes first."""

    name: str
    run: Callable[[], int]
    stop_order: int = 0


class Forks:
    """Keeps its parts running until SIGTERM, SIGINT or SIGHUP, then ends them in order; a second one kills at once."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = {part.name: part for part in parts}
        self._running: dict[int, str] = {}
        self._started: dict[str, float] = {}
        self._back_off: dict[str, float] = {}
        self._due: dict[str, float] = {}

    def run(self) -> int:
        """Returns 0 when it was asked to stop."""
        gc.collect()
        gc.freeze()
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        for name in self._parts:
            self._start(name)
        while not self._wait_a_moment():
            self._reap()
            for name in [name for name, due in self._due.items() if time.monotonic() >= due]:
                self._start(name)
        self._stop()
        return 0

    def _wait_a_moment(self) -> bool:
        """Until something ends or is due; True when asked to stop."""
        due = min(self._due.values(), default=time.monotonic() + 3600)
        got = signal.sigtimedwait(_WATCHED, max(0.01, due - time.monotonic()))
        return got is not None and got.si_signo in _STOPS

    def _start(self, name: str) -> None:
        self._due.pop(name, None)
        self._started[name] = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        parent, pid = os.getpid(), os.fork()
        if pid:
            self._running[pid] = name
            return
        code = 1
        try:
            die_with_parent()
            for each in _STOPS:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            if os.getppid() == parent:
                code = self._parts[name].run()
        except BaseException:  # the child must never return into the parent's stack
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            name = self._running.pop(pid, None)
            if name is None:
                continue
            lived = time.monotonic() - self._started[name]
            before = FIRST_BACK_OFF / 2 if lived >= STEADY_SECONDS else self._back_off.get(name, FIRST_BACK_OFF / 2)
            self._back_off[name] = min(before * 2, LONGEST_BACK_OFF)
            self._due[name] = time.monotonic() + self._back_off[name]
            code = os.waitstatus_to_exitcode(status)
            print(f"coordinator: {name} ended with {code}, starting it again", file=sys.stderr, flush=True)

    def _stop(self) -> None:
        self._due.clear()
        for order in sorted({part.stop_order for part in self._parts.values()}):
            going = {pid for pid, name in self._running.items() if self._parts[name].stop_order == order}
            self._signal(going, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while going & self._running.keys():
                got = signal.sigtimedwait(_WATCHED, 0.2)
                if (got is not None and got.si_signo in _STOPS) or time.monotonic() > deadline:
                    self._signal(self._running.keys(), signal.SIGKILL)
                self._forget_ended()

    def _forget_ended(self) -> None:
        while self._running:
            pid, _status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._running.pop(pid, None)

    @staticmethod
    def _signal(pids: object, signum: int) -> None:
        for pid in list(pids):  # type: ignore[call-overload]
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                continue
