"""Who is acting. Doors make a Principal from a session or a token; use cases take it and never look further."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Principal:
    """A signed-in user. `scopes` is None in a browser session (all rights of the role), else the token's scopes."""

    user_id: int
    name: str
    role: str
    organisation_id: int | None = None
    scopes: frozenset[str] | None = None
    session_id: int | None = None
    token_id: int | None = None
    second_factor_at: datetime | None = None

    @property
    def actor(self) -> str:
        """How the record names this person."""
        return f"user:{self.user_id}"


SYSTEM = "system"
