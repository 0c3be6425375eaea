"""The process in which one file is opened: bounded in memory and time, without our settings, keys or database.

Reads a line of JSON {"name", "names"} and then the file from its input; writes a line of JSON and then the copy.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

MEMORY, PROCESSOR_SECONDS = 1024**3, 50


def main() -> None:
    _bind()
    from coordinator.cleaning.cleaner import clean
    from coordinator.cleaning.reading import read
    from coordinator.cleaning.results import Uncleanable

    asked = json.loads(sys.stdin.buffer.readline())
    body = sys.stdin.buffer.read()
    try:
        made = clean(body, asked["name"])
        found = read(made, asked["names"])
    except Uncleanable as refused:
        _say({"why": refused.why}, b"")
    except (MemoryError, RecursionError):
        _say({"why": "too-complex"}, b"")
    except Exception:  # a fault of a library on a hostile file; its text may hold what the file holds
        _say({"why": "damaged"}, b"")
    else:
        _say({"kind": made.kind, "media_type": made.media_type, "ending": made.ending, "removed": list(made.removed),
              "unchanged": made.unchanged, "named": found.named, "pages": found.pages, "searched": found.searched,
              "wordless": found.wordless, "drawn": made.text is None}, made.body)  # fmt: skip


def _bind() -> None:
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, PROCESSOR_SECONDS),
                       (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):  # fmt: skip
        resource.setrlimit(what, (most, most))


def _say(head: dict[str, Any], body: bytes) -> None:
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
