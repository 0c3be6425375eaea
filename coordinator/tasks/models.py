"""Work given to people: tables only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Exercised, Id, Json, whole, within
from coordinator.incidents import models as _incidents  # noqa: F401  the tables its keys point to


class Task(Exercised, Base):
    """`kind`: task, decision (choose an option), approval (yes or no), voice (a call to make), notice.

    `state`: open, done, cancelled, set-aside (its incident is a duplicate; it may come back).
    `blocks`: what it stops while open: resolve, close or "". `sealed`: what is asked and what was answered
    (contents.py), under the data key of the incident it was opened for, or one of its own. `title` holds no variable's
    value. The result is an item version; the answers are the step's variables from it, for the run.
    """

    __tablename__ = "tasks"
    id: Mapped[Id]
    incident_id: Mapped[int | None]
    kind: Mapped[Code] = mapped_column(default="task")
    title: Mapped[str] = mapped_column(Text)
    role: Mapped[Code]
    fallback_role: Mapped[str] = mapped_column(String(80), default="")
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    priority: Mapped[int] = mapped_column(default=50)
    state: Mapped[str] = mapped_column(String(9), default="open")
    outcome: Mapped[str] = mapped_column(String(10), default="")
    blocks: Mapped[str] = mapped_column(String(7), default="")
    data_key_id: Mapped[int | None]
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    ladder: Mapped[list[Any]]
    not_by: Mapped[list[Any] | None] = mapped_column(Json)
    due_at: Mapped[datetime | None]
    reminded: Mapped[int] = mapped_column(default=0)
    overdue_told_at: Mapped[datetime | None]
    result_version_id: Mapped[int | None]
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
