"""Work given to people: tables only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Exercised, Id, Json, whole, within
from coordinator.incidents import models as _incidents  # noqa: F401  the tables its keys point to


class Task(Exercised, Base):
    """`kind`: task, decision (choose an option), approval (yes or no), voice (a call to make), notice.

    `state`: open, done, cancelled, set-aside (its incident is a duplicate; it may come back).
    `blocks`: what it stops while open: resolve, close or "". `fields`: variable name -> {label, type, options?,
    required?}.
    The result is an item version; `values` are the step's variables from it, for the run.
    """

    __tablename__ = "tasks"
    id: Mapped[Id]
    incident_id: Mapped[int | None]
    kind: Mapped[Code] = mapped_column(default="task")
    title: Mapped[str] = mapped_column(Text)
    instructions: Mapped[str] = mapped_column(Text, default="")
    role: Mapped[Code]
    fallback_role: Mapped[str] = mapped_column(String(80), default="")
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    priority: Mapped[int] = mapped_column(default=50)
    state: Mapped[str] = mapped_column(String(9), default="open")
    outcome: Mapped[str] = mapped_column(String(10), default="")
    blocks: Mapped[str] = mapped_column(String(7), default="")
    fields: Mapped[dict[str, Any]]
    options: Mapped[list[str]]
    checklist: Mapped[list[str]]
    ladder: Mapped[list[Any]]
    not_by: Mapped[list[Any] | None] = mapped_column(Json)
    due_at: Mapped[datetime | None]
    reminded: Mapped[int] = mapped_column(default=0)
    overdue_told_at: Mapped[datetime | None]
    result_version_id: Mapped[int | None]
    values: Mapped[dict[str, Any] | None] = mapped_column(Json)
    created_at: Mapped[datetime]
    created_by: Mapped[Code]
    done_at: Mapped[datetime | None]
    done_by: Mapped[Code] = mapped_column(default="")
    version: Mapped[int] = mapped_column(default=1)
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        within("result_version_id", "item_versions"),
        Index("ix_tasks_incident", "incident_id", "state"),
        Index("ix_tasks_role", "state", "role", "due_at"),
        Index("ix_tasks_fallback", "state", "fallback_role", "due_at"),
        Index("ix_tasks_assignee", "state", "assignee_id", "due_at"),
    )
