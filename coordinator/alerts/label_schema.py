"""What people say of a lowered label, as shapes: the same for the pages and the API."""

from __future__ import annotations

from typing import Any

from coordinator.alerts.evidence import CHANNELS, LONGEST_REASON
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Instant, Listed, Text, Token

_KEY, _KEY_SENTENCE = r"(itm[-_][A-Za-z0-9_-]{4,36})?", "Send an item's key, or an empty text for the incident itself."
_ITEMS = "Left out: everything of theirs here that this lowers."


class LoweredRestSchema(Shape):
    tlp = terms.tlp(required=True, metadata={"description": "The label it gave, or the one we go back to."})
    items = Listed(Token(_KEY, _KEY_SENTENCE), most=500, metadata={"description": _ITEMS})
    channel = Choice(CHANNELS, metadata={"description": "How the originator said it."})
    said_at = Instant(metadata={"description": "When the originator said it."})
    said_by = Text(200, metadata={"description": "Who of the originator's said it."})
    words = Text(10_000, lines=True, metadata={"description": "What the originator said."})
    report = Text(40, metadata={"description": "The originator's own message in which it was said."})
    reason = Text(LONGEST_REASON, lines=True, required=True)


#: `POST /incidents/{reference}/lowered-labels`.
LoweredSchema = LoweredRestSchema.from_dict(
    {"from": terms.OrganisationCode(metadata={"description": "The originator; left out: we take back our own raise."})},
    name="LoweredLabel",
)
_LOWERED = LoweredSchema()


def load_lowered(data: Any) -> dict[str, Any]:
    """{from?, tlp, items?, channel?, said_at?, said_by?, words?, report?, reason}. Raises Invalid."""
    return load(_LOWERED, data)
