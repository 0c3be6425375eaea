"""An exchange policy as it comes in: FIRST IEP 2.0, under the names of its JSON form.

Each statement may be left out: what is not said does not limit. Dates that never hold together are taken, for two
policies that were combined may have such: a person is asked then, at any time. `name` and `description` are taken and
not kept with the marking, which stands in the open: they are whoever's free text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, post_load, pre_load, validates_schema

from coordinator.markings import IEP_ACTIONS, IEP_TLP, MOST_ADDRESSES, Iep
from coordinator.outside.faults import Shape
from coordinator.outside.fields import Choice, Instant, Text, Token

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_URI = r"[A-Za-z][A-Za-z0-9+.-]{1,30}:[^\s<>\"{}|\\^`\x00-\x20\x7f-\x9f]{1,450}"
_URIS = rf"{_URI}(?: {_URI}){{0,{MOST_ADDRESSES - 1}}}"
_LONGEST = MOST_ADDRESSES * 500
#: What the standard's earlier version stated and this one does not.
_EARLIER = {"encrypt_at_rest": "IEP 2.0 has no such statement: leave it out, and say it in the policy you refer to."}


class IepSchema(Shape):
    """Conditions under which it was given (FIRST IEP 2.0): at least one statement."""

    tlp = Choice(IEP_TLP, metadata={"description": "The stricter of this and the label of the report counts."})
    start_date = Instant(metadata={"description": "From when it holds; outside its dates a person is asked."})
    end_date = Instant(metadata={"description": "Until when, this instant not included; null: open."})
    encrypt_in_transit = Choice(("must", "may"))
    permitted_actions = Choice(IEP_ACTIONS)
    affected_party_notifications = Choice(("may", "must-not"))
    attribution = Choice(("may", "must", "must-not"))
    unmodified_resale = Choice(("may", "must-not"))
    external_reference = Token(_URIS, "Send an address (URI), like https://csirt.example/iep; of several, each after a"
                               f" space, at most {MOST_ADDRESSES}.", longest=_LONGEST, metadata={"pattern": _URIS})
    id = Token(_UUID, "Send the id of the policy as a UUID.", longest=36, canonical=str.lower,
               metadata={"pattern": _UUID})
    name = Text(500)
    description = Text(5000, lines=True)
    iep_version = Choice(("2.0",), sentence="Send 2.0: other versions of IEP are not read.")

    @pre_load
    def _version(self, data: Any, **_: Any) -> Any:
        """The version may come as a number, as the STIX extension has it."""
        if not isinstance(data, Mapping):
            return data
        earlier = {name: [sentence] for name, sentence in _EARLIER.items() if name in data}
        if earlier:
            raise ValidationError(earlier)
        return {**data, "iep_version": str(data["iep_version"])} if type(data.get("iep_version")) is float else data

    @validates_schema(skip_on_field_errors=True)
    def _says_something(self, data: Mapping[str, Any], **_: Any) -> None:
        if not set(data) & set(Iep.READERS) - {"id"}:
            raise ValidationError("State at least one of its conditions, or leave the policy out.")

    @post_load
    def _kept(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if name in Iep.READERS}
