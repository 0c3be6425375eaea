"""What is kept of the remarks on a report, and how they are shown: where, and what to do. Nothing of what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coordinator.incidents.envelope import Remark
from coordinator.vocabulary.stix_checks import says

#: So many are kept with a report; the number of all of them beside them.
MOST_REMARKS = 50


def kept(remarks: Sequence[Remark]) -> dict[str, Any] | None:
    """{count, first: [{check, pointer, object}]}; None where there are none."""
    if not remarks:
        return None
    first = [{"check": one.check, "pointer": one.pointer, "object": one.object} for one in remarks[:MOST_REMARKS]]
    return {"count": len(remarks), "first": first}


def shown(remarks: Mapping[str, Any] | None) -> dict[str, Any]:
    """{count, first: [{check, pointer, object, detail}]} with a sentence for each that says what to do."""
    if not remarks:
        return {"count": 0, "first": []}
    return {"count": remarks["count"], "first": [one | {"detail": says(one["check"])} for one in remarks["first"]]}
