"""Cleaning a file in a process of its own, which may fail, hang or grow without harm to the one that asked."""

from __future__ import annotations

import json
import os
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

    `bears_name`: whether one of the names stands in its text; None where its content is drawn.
    """

    why: str = ""
    kind: str = ""
    body: bytes = b""
    media_type: str = ""
    ending: str = ""
    removed: tuple[str, ...] = ()
    unchanged: bool = False
    bears_name: bool | None = None


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
    return _read(head, made) or Outcome(why="time-over" if done.returncode in (-24, -9) else "failed")


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
        return Outcome(
            kind=str(said["kind"])[:20], body=made, media_type=str(said["media_type"])[:120],
            ending=str(said["ending"])[:8], removed=tuple(code for code in REMOVED if code in said["removed"]),
            unchanged=said["unchanged"] is True, bears_name=said["bears_name"],
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None
