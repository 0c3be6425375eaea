"""People who use this system, and how they prove it: tables only. Tokens are stored as digests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Hash, Id
from coordinator.partners import models as _partners  # noqa: F401  the tables its keys point to


class User(Base):
    """`state` is active, suspended or deactivated. Users are parties and the same in an exercise."""

    __tablename__ = "users"
    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[Code]
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    state: Mapped[Code] = mapped_column(default="active")
    password_hash: Mapped[str] = mapped_column(Text, default="")
    data_key_id: Mapped[int | None]
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_last_step: Mapped[int | None]
    passkey_handle: Mapped[str] = mapped_column(String(43), default="")
    enrolled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_sign_in_at: Mapped[datetime | None]
    failed_sign_ins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    approves_from: Mapped[datetime | None]
    language: Mapped[str] = mapped_column(String(20), default="en")
    time_zone: Mapped[Code] = mapped_column(default="UTC")


class SignInLink(Base):
    """A single-use link. `purpose`: sign-in, or first-administrator."""

    __tablename__ = "sign_in_links"
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    token_hash: Mapped[Hash] = mapped_column(unique=True)
    purpose: Mapped[Code] = mapped_column(default="sign-in")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class UserSession(Base):
    """A signed-in browser: idle 15 min, absolute 12 h."""

    __tablename__ = "user_sessions"
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    token_hash: Mapped[Hash] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    second_factor_at: Mapped[datetime | None]
    browser: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(String(60), default="")


class ApiToken(Base):
    __tablename__ = "api_tokens"
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[Hash] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Passkey(Base):
    """A WebAuthn credential (W3C WebAuthn level 2). `credential_id` is base64url; `public_key` is COSE."""

    __tablename__ = "passkeys"
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    credential_id: Mapped[str] = mapped_column(String(1400), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class SpentChallenge(Base):
    """A passkey challenge that was answered: each is taken once. The row may go when the challenge has expired."""

    __tablename__ = "spent_challenges"
    digest: Mapped[Hash] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]
