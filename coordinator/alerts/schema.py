"""What people ask of alerts beyond telling, as shapes: the same for the pages and the API."""

from __future__ import annotations

from typing import Any

from coordinator import vocabulary
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Instant, Text, Whole

LARGEST_ID = 2**53 - 1


class ConsentRequestRestSchema(Shape):
    to = terms.OrganisationCode(required=True, metadata={"description": "Whom it is to go on to."})
    purpose = Choice(vocabulary.PURPOSES.codes, required=True)
    item = Text(40, metadata={"description": "An item's key; left out: all that they told in this incident."})
    valid_until = Instant(required=True)
    reply_by = Instant(required=True)
    reason = Text(2000, lines=True, required=True, metadata={"description": "The originator reads it."})
    tlp = terms.tlp(required=True, metadata={"description": "The label of the request itself."})
    decision = Whole(1, LARGEST_ID, metadata={"description": "The decision that refused or referred it."})


#: `POST /incidents/{reference}/consent-requests`: ask an originator.
ConsentRequestSchema = ConsentRequestRestSchema.from_dict(
    {"from": terms.OrganisationCode(required=True)}, name="ConsentRequest"
)


class ConsentConfirmedSchema(Shape):
    """`POST /consent-requests/{number}/confirm`."""

    until = Instant(metadata={"description": "Sooner than was asked for, if that is what was granted."})


class DeclinedSchema(Shape):
    """`POST /consent-requests/{number}/decline`."""

    reason = Text(2000, lines=True, required=True)


_REQUEST, _CONFIRMATION, _REASON = ConsentRequestSchema(), ConsentConfirmedSchema(), DeclinedSchema()


def load_consent_request(data: Any) -> dict[str, Any]:
    """{from, to, purpose, item?, valid_until, reply_by, reason, tlp, decision?}. Raises Invalid."""
    return load(_REQUEST, data)


def load_confirmation(data: Any) -> dict[str, Any]:
    """{until?}. Raises Invalid."""
    return load(_CONFIRMATION, data)


def load_reason(data: Any) -> str:
    """The reason. Raises Invalid."""
    return str(load(_REASON, data)["reason"])
