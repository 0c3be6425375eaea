"""The playbook catalogue and durable runs: tables only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Exercised, Hash, Id, whole, within
from coordinator.sharing import models as _sharing  # noqa: F401  the tables its keys point to
from coordinator.tasks import models as _tasks  # noqa: F401  the tables its keys point to


class PlaybookVersion(Base):
    """One version of a playbook as canonical bytes; immutable, runs pin it.

    `state`: imported, active, replaced, revoked. `activated_by`: who agreed to its use so far.
    """

    __tablename__ = "playbook_versions"
    id: Mapped[Id]
    playbook_id: Mapped[str] = mapped_column(String(80))
    version: Mapped[str] = mapped_column(String(30))
    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[Hash] = mapped_column(unique=True)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    internal: Mapped[bool] = mapped_column(Boolean, default=False)
    priority: Mapped[int] = mapped_column(default=0)
    state: Mapped[Code] = mapped_column(default="imported")
    imported_at: Mapped[datetime]
    imported_by: Mapped[Code]
    activated_by: Mapped[list[str]]
    __table_args__ = (UniqueConstraint("playbook_id", "version"),)


class PlaybookSigner(Base):
    """A public key whose signatures on playbooks count. `state`: proposed (by one person), trusted, revoked."""

    __tablename__ = "playbook_signers"
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[Hash] = mapped_column(unique=True)
    state: Mapped[Code]
    added_at: Mapped[datetime]
    added_by: Mapped[list[str]]
    revoked_at: Mapped[datetime | None]


class PlaybookSignature(Base):
    """A signature that came with a document after its version was here: adding one makes no new version (CACAO 2.0)."""

    __tablename__ = "playbook_signatures"
    id: Mapped[Id]
    version_id: Mapped[int] = mapped_column(ForeignKey("playbook_versions.id"))
    signature: Mapped[dict[str, Any]]
    digest: Mapped[Hash]
    added_at: Mapped[datetime]
    added_by: Mapped[Code]
    __table_args__ = (UniqueConstraint("version_id", "digest"),)


class Run(Exercised, Base):
    """A playbook being followed. `state`: running waiting paused needs-attention completed failed cancelled.

    `scope_sealed`: playbook-scope variables and counters of the interpreter, null until it has begun; tokens are rows.
    `asked_sealed`: what persons asked of it and no worker has done yet. `fault_sealed`: why it stands. Variables hold
    what persons, services and the incident filled them with: saved.py alone seals and opens them, under the incident's
    data key, or one of the run's own. `once_key` keeps two starts of one playbook for one incident from both happening.
    """

    __tablename__ = "runs"
    id: Mapped[Id]
    incident_id: Mapped[int | None]
    playbook_version_id: Mapped[int] = mapped_column(ForeignKey("playbook_versions.id"))
    once_key: Mapped[str] = mapped_column(String(120), unique=True)
    state: Mapped[Code] = mapped_column(default="running")
    explanation: Mapped[list[str]]
    data_key_id: Mapped[int | None]
    scope_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    fault_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    asked_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    started_by: Mapped[Code]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        Index("ix_runs_incident", "incident_id", "id"),
        Index("ix_runs_state", "state", "id"),
    )


class RunToken(Exercised, Base):
    """A live token of a run, as the interpreter left it, sealed as the run is. Rows of finished tokens are deleted."""

    __tablename__ = "run_tokens"
    id: Mapped[Id]
    run_id: Mapped[int]
    token: Mapped[str] = mapped_column(String(80))
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    __table_args__ = (within("run_id", "runs"), UniqueConstraint("run_id", "token"))


class StepAttempt(Exercised, Base):
    """One try at one step. `key` is the interpreter's, unique in the run: the same work is never begun twice.

    It points to the task or release that does the work, never the other way round. `spec_sealed`: what it asks for,
    with variables filled in; `values_sealed`: what came of it, null for nothing. `name` has no variable's value in it.
    """

    __tablename__ = "step_attempts"
    id: Mapped[Id]
    run_id: Mapped[int]
    key: Mapped[str] = mapped_column(String(200))
    step: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(Text, default="")
    kind: Mapped[Code]
    state: Mapped[Code] = mapped_column(default="begun")
    task_id: Mapped[int | None]
    release_id: Mapped[int | None]
    outcome: Mapped[Code] = mapped_column(default="")
    data_key_id: Mapped[int | None]
    spec_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    values_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    begun_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        whole(),
        within("run_id", "runs"),
        within("task_id", "tasks"),
        within("release_id", "releases"),
        UniqueConstraint("run_id", "key"),
        Index("ix_step_attempts_task", "task_id"),
        Index("ix_step_attempts_release", "release_id"),
    )


class HttpCall(Exercised, Base):
    """A request that a step makes by itself. `state`: waiting, done, failed, called-off, late (answered after that).

    `idempotency_key` is the same on every attempt. What is sent and what came back are sealed. `fence` grows with each
    attempt: a worker that wakes late writes nothing.
    """

    __tablename__ = "http_calls"
    id: Mapped[Id]
    attempt_id: Mapped[int]
    host_id: Mapped[int]
    decision_id: Mapped[int | None]
    idempotency_key: Mapped[str] = mapped_column(String(80), unique=True)
    state: Mapped[Code] = mapped_column(default="waiting")
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    status: Mapped[int | None]
    outcome: Mapped[str] = mapped_column(String(200), default="")
    data_key_id: Mapped[int]
    request_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    answer_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    begun_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        whole(),
        within("attempt_id", "step_attempts"),
        within("host_id", "http_hosts"),
        within("decision_id", "share_decisions"),
        UniqueConstraint("attempt_id"),
    )


class HttpAttempt(Exercised, Base):
    """One try of such a request: when, and what came of it."""

    __tablename__ = "http_attempts"
    id: Mapped[Id]
    call_id: Mapped[int]
    number: Mapped[int]
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(200))
    status: Mapped[int | None]
    __table_args__ = (within("call_id", "http_calls"), UniqueConstraint("call_id", "number"))


class StepState(Exercised, Base):
    """The last thing seen of each step, for drawing the run."""

    __tablename__ = "step_states"
    id: Mapped[Id]
    run_id: Mapped[int]
    step: Mapped[str] = mapped_column(String(120))
    state: Mapped[Code]
    at: Mapped[datetime]
    passes: Mapped[int] = mapped_column(default=1)
    __table_args__ = (within("run_id", "runs"), UniqueConstraint("run_id", "step"))


class Timer(Exercised, Base):
    """Something a run waits for by time. A pending row with the same instant wakes it."""

    __tablename__ = "timers"
    id: Mapped[Id]
    run_id: Mapped[int]
    key: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[Code]
    due_at: Mapped[datetime]
    fired_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    __table_args__ = (whole(), within("run_id", "runs"), UniqueConstraint("run_id", "key"), Index("ix_timers_due",
    "due_at"))
