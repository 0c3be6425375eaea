"""Who there is outside and inside, how they are reached, and with which keys: tables only.

Organisations are parties and the same in an exercise; endpoints and channels belong to one exercise or to none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Exercised, Hash, Id, Json, whole, within


class Setting(Base):
    """A setting of this installation kept in the database: own_organisation, community, duty_role."""

    __tablename__ = "settings"
    name: Mapped[Code] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(Json)


class Organisation(Exercised, Base):
    __tablename__ = "organisations"
    id: Mapped[Id]
    code: Mapped[Code] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[Code]
    country: Mapped[str] = mapped_column(String(2), default="")
    communities: Mapped[list[str]]
    sectors: Mapped[list[str]]
    is_own: Mapped[bool] = mapped_column(Boolean, default=False)
    client_of_own: Mapped[bool] = mapped_column(Boolean, default=False)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    version: Mapped[int] = mapped_column(default=1)


class Contact(Exercised, Base):
    """A point of contact: a reachable function at an organisation, with or without a named person."""

    __tablename__ = "contacts"
    id: Mapped[Id]
    code: Mapped[Code] = mapped_column(unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    kind: Mapped[Code]
    function: Mapped[str] = mapped_column(Text, default="")
    person_name: Mapped[str] = mapped_column(Text, default="")
    person_email: Mapped[str] = mapped_column(String(254), default="")
    languages: Mapped[list[str]]
    time_zone: Mapped[Code]
    hours: Mapped[Code]
    position: Mapped[int] = mapped_column(default=1)
    tlp_max: Mapped[str] = mapped_column(String(12), default="AMBER")
    verified_on: Mapped[datetime | None]
    suspect_since: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    version: Mapped[int] = mapped_column(default=1)
    __table_args__ = (whole(),)


class Endpoint(Exercised, Base):
    """Where a partner system posts to us (`in`), or where we post to it (`out`). `slug` is the last part of the URL.

    `source` is the CloudEvents source its envelopes bear: the first one seen is kept, another one is quarantined.
    `stix_asks`: words of `vocabulary.stix_checks`, what STIX from there is held to beside what is demanded.
    """

    __tablename__ = "endpoints"
    id: Mapped[Id]
    slug: Mapped[Code] = mapped_column(unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    direction: Mapped[str] = mapped_column(String(3))
    url: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[Code] = mapped_column(default="active")
    allow_private: Mapped[list[str]]
    restricted: Mapped[bool] = mapped_column(Boolean, default=False)
    tlp_max: Mapped[str] = mapped_column(String(12), default="")
    source: Mapped[str] = mapped_column(Text, default="")
    stix_asks: Mapped[str] = mapped_column(Text, default="", server_default="")
    last_ok_at: Mapped[datetime | None]
    __table_args__ = (whole(),)


class EndpointKey(Base):
    """A webhook secret, sealed. Rotation overlaps by `not_after`; revocation is at once."""

    __tablename__ = "endpoint_keys"
    id: Mapped[Id]
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoints.id"), index=True)
    fingerprint: Mapped[Hash] = mapped_column(unique=True)
    data_key_id: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    not_after: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class HttpHost(Exercised, Base):
    """A service of an organisation that playbooks may call by themselves. `origin` is scheme, host and port.

    `sealed`: the value of `auth_header`, if it asks for one; playbooks never hold it. `state`: active, disabled.
    """

    __tablename__ = "http_hosts"
    id: Mapped[Id]
    code: Mapped[Code] = mapped_column(unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    origin: Mapped[str] = mapped_column(String(300))
    methods: Mapped[list[str]]
    allow_private: Mapped[list[str]]
    auth_header: Mapped[Code] = mapped_column(default="")
    fingerprint: Mapped[str] = mapped_column(String(64), default="")
    data_key_id: Mapped[int | None]
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[Code] = mapped_column(default="active")
    __table_args__ = (whole(), UniqueConstraint("origin", "exercise"))


class Channel(Exercised, Base):
    """One way to reach a contact, in the order of `position`. A number becomes a call, and the
    place of a `courier` (in `address`) a letter to take there: tasks for a person."""

    __tablename__ = "channels"
    id: Mapped[Id]
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
    position: Mapped[int]
    kind: Mapped[Code]
    endpoint_id: Mapped[int | None]
    address: Mapped[str] = mapped_column(String(254), default="")
    pgp_key: Mapped[str] = mapped_column(Text, default="")
    number: Mapped[str] = mapped_column(String(40), default="")
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    __table_args__ = (whole(), within("endpoint_id", "endpoints"), UniqueConstraint("contact_id", "position"))


class Exercise(Base):
    """An exercise we know of: only while it runs, and only from those enrolled, is its traffic taken as exercise.

    `code` is what reports, endpoints and rows of a case call it. `run_by`: the actor who answers for it.
    """

    __tablename__ = "exercises"
    id: Mapped[Id]
    code: Mapped[Code] = mapped_column(unique=True)
    title: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    run_by: Mapped[Code]
    version: Mapped[int] = mapped_column(default=1)


class ExerciseMember(Base):
    """An organisation that takes part in an exercise."""

    __tablename__ = "exercise_members"
    exercise_id: Mapped[int] = mapped_column(ForeignKey("exercises.id"), primary_key=True, autoincrement=False)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), primary_key=True, autoincrement=False)
