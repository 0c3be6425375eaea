"""Cleaning a file in a process of its own, which may fail, hang or grow without harm to the one that asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass

from coordinator.cleaning.results import LARGEST_MADE, REFUSED, REMOVED

#: Seconds until it is stopped, whatever it does.
LONGEST = 60.0
_KEPT = ("PATH", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`why`: a code of REFUSED, "" where there is a copy; then the rest says what it is, as in `Cleaned`.

    `bears_name`: whether one of the names was found in it; None where none was, and what is drawn in it no machine
    can read for certain. `named`: where, as (name, page from 1, or 0). `pages`, `searched`, `wordless`: as in
    `reading.Read`.
    """

    why: str = ""
    kind: str = ""
    body: bytes = b""
    media_type: str = ""
    ending: str = ""
    removed: tuple[str, ...] = ()
    unchanged: bool = False
    bears_name: bool | None = None
    named: tuple[tuple[str, int], ...] = ()
    pages: int = 0
    searched: int = 0
    wordless: int = 0


def clean(body: bytes, *, name: str, names: Collection[str] = (), longest: float = LONGEST) -> Outcome:
    """A copy of this file that may leave, or why there is none. `names` are looked for in its text. Never raises for
    what is in the file."""
    asked = json.dumps({"name": name, "names": sorted(names)}).encode() + b"\n"
    command = [sys.executable, "-m", "coordinator.cleaning.child"]
    env = {key: os.environ[key] for key in _KEPT if key in os.environ}
    try:
        done = subprocess.run(
            command, input=asked + body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, timeout=longest,
            start_new_session=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(why="time-over")
    head, _, made = done.stdout.partition(b"\n")
    return _read(head, made) or Outcome(why=_why_it_ended(done.returncode))


def _why_it_ended(code: int) -> str:
    """By what killed it: the processor's time or the machine's want of memory; a library that got no more memory."""
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "time-over"
    return "too-complex" if code in (-signal.SIGABRT, -signal.SIGSEGV) else "failed"


def _read(head: bytes, made: bytes) -> Outcome | None:
    """What the child says, believed as little as the file it opened; None where it makes no sense."""
    try:
        said = json.loads(head)
        if "why" in said:
            return Outcome(why=said["why"] if said["why"] in REFUSED else "failed")
        if not made and not said["unchanged"]:
            return None
        if len(made) > LARGEST_MADE:
            return Outcome(why="too-large")
        named = tuple((str(name)[:200], int(page)) for name, page in said["named"])
        return Outcome(
            kind=str(said["kind"])[:20], body=made, media_type=str(said["media_type"])[:120],
            ending=str(said["ending"])[:8], removed=tuple(code for code in REMOVED if code in said["removed"]),
            unchanged=said["unchanged"] is True, named=named, pages=int(said["pages"]),
            searched=int(said["searched"]), wordless=int(said["wordless"]),
            bears_name=True if named else None if said["drawn"] is True else False,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None
