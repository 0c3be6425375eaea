"""STIX bundles read into reports, in this process: does the time grow with the number of objects, and no faster?

`python -m benchmarks.bundles [--short]`. Bundles of two sizes, the larger the largest that is taken, and ten of those
one after another; the floor is the validator of the standard's own committee by itself, over the same bytes. Processor
time, of this process alone. `--postgresql` changes nothing: reading touches no database.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from stix2validator import ValidationOptions, validate_parsed_json

from benchmarks import printed
from coordinator.errors import CoordinatorError
from coordinator.interchange import stix
from coordinator.markings import Tlp

SMALL, LARGE, ROUNDS, MANY = 100, 1000, 5, 10
NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
_TIMES = {"created": "2026-11-21T22:00:00.000Z", "modified": "2026-11-21T23:00:00.000Z"}
_MARKED = {"spec_version": "2.1", "object_marking_refs": [Tlp.GREEN.stix_id]}


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    small, large, rounds, many = (3, 6, 1, 2) if chosen.short else (SMALL, LARGE, chosen.rounds or ROUNDS, MANY)
    printed.heading("bundles", chosen)
    _read(bundle(3), 1)  # what is loaded at the first reading
    an_object = {}
    for size in (small, large):
        raw = bundle(size)
        ours = [1000 * _processor(lambda raw=raw: _read(raw, 1)) for _ in range(rounds)]  # type: ignore[misc]
        floor = [1000 * _processor(lambda raw=raw: _validator(raw)) for _ in range(rounds)]  # type: ignore[misc]
        an_object[size] = printed.median(ours) / size
        printed.line(f"{len(raw)} bytes, {rounds} rounds: {printed.spread(ours)} ms")
        printed.three(f"bundle of {size} objects", printed.median(ours), printed.median(floor), "ms")
    raw = bundle(large)
    whole = 1000 * _processor(lambda: _read(raw, many)) / (many * large)
    printed.three(
        f"an object, {many * large} in {many} bundles (floor: in one of {small})", whole, an_object[small], "ms"
    )
    raw = bundle(10 * LARGE)
    printed.line(
        f"one of {10 * LARGE} objects, {len(raw)} bytes: refused in {1000 * _processor(lambda: _refused(raw)):.3g} ms"
    )


def bundle(size: int) -> bytes:
    """An incident and what can be looked for, related to each other: of five kinds in turn."""
    return json.dumps({
        "type": "bundle", "id": _id("bundle", 0), "objects": list(islice(_objects(), size)),
    }).encode()  # fmt: skip


def _objects() -> Iterator[dict[str, Any]]:
    case = _id("incident", 1)
    yield {"type": "incident", "id": case, "name": "Wiper", **_TIMES, **_MARKED}
    number = 1
    while True:
        number += 1
        found = _id("indicator", number)
        yield {"type": "indicator", "id": found, "name": f"i{number}", "pattern_type": "stix",
               "pattern": f"[domain-name:value = 'h{number}.example']", "valid_from": _TIMES["created"],
               **_TIMES, **_MARKED}  # fmt: skip
        yield {"type": "relationship", "id": _id("relationship", number), "relationship_type": "related-to",
               "source_ref": found, "target_ref": case, **_TIMES, **_MARKED}  # fmt: skip
        yield {"type": "ipv4-addr", "id": _id("ipv4-addr", number), "value": f"10.0.{number >> 8 & 255}.{number & 255}",
               **_MARKED}  # fmt: skip
        yield {"type": "file", "id": _id("file", number), "hashes": {"SHA-256": f"{number:064x}"}, **_MARKED}
        yield {"type": "identity", "id": _id("identity", number), "name": "n", "identity_class": "organization",
               **_TIMES, **_MARKED}  # fmt: skip


def _id(kind: str, number: int) -> str:
    return f"{kind}--{uuid.UUID(int=number, version=4)}"


def _read(raw: bytes, times: int) -> None:
    for _ in range(times):
        stix.read(raw, NOW)


def _validator(raw: bytes) -> None:
    assert validate_parsed_json(json.loads(raw), ValidationOptions(version="2.1", silent=True)).is_valid


def _refused(raw: bytes) -> None:
    try:
        stix.read(raw, NOW)
    except CoordinatorError:
        return
    raise AssertionError("taken")


def _processor(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
