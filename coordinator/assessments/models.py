"""Assessments of an incident: what a person concluded, by which method. Tables only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Exercised, Id, whole, within
from coordinator.tasks import models as _tasks  # noqa: F401  the tables its keys point to


class Assessment(Exercised, Base):
    """`state`: asked (a person is at it), proposed (its author may not set the severity), accepted, given-up.

    `suggested_by`: human, rule or model; only a person is ever `accepted_by`. What was put in and concluded is the
    task's result, an item version.
    """

    __tablename__ = "assessments"
    id: Mapped[Id]
    incident_id: Mapped[int]
    task_id: Mapped[int | None]
    method: Mapped[Code]
    suggested_by: Mapped[Code] = mapped_column(default="human")
    state: Mapped[Code] = mapped_column(default="asked")
    severity: Mapped[int | None]
    author: Mapped[Code] = mapped_column(default="")
    accepted_by: Mapped[Code] = mapped_column(default="")
    asked_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    content_version_id: Mapped[int | None]
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        within("task_id", "tasks"),
        within("content_version_id", "item_versions"),
        Index("ix_assessments_incident", "incident_id", "id"),
        Index("ix_assessments_task", "task_id"),
    )
