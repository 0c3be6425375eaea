"""Users as outside data."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validates_schema

from coordinator.accounts.rules import Role
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Text


class UserSchema(Shape):
    """Somebody who signs in. A partner system signs with its endpoint's key and is no user."""

    email = terms.email(required=True)
    name = Text(200, required=True)
    role = Choice([role for role in Role if role is not Role.PARTNER_SYSTEM], required=True)
    organisation = terms.OrganisationCode()

    @validates_schema(skip_on_field_errors=False)
    def _partners_belong_somewhere(self, data: Any, **_: Any) -> None:
        if data.get("role") == Role.PARTNER_USER and "organisation" not in data:
            raise ValidationError({"organisation": ["A partner's user needs the organisation it belongs to."]})


_USER = UserSchema()


def load_user(data: Any) -> dict[str, Any]:
    """An account: email, name, role, organisation?; or Invalid with every fault."""
    return load(_USER, data)
