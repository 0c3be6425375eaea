"""Copies of attachments that may leave, the files that go along with a release, and those that were taken."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json
from coordinator.migrations.protection import REFUSED_FILES, protect_later, protect_permits, unprotect_permits

revision = "0030"
down_revision = "0029"


def _within(table: str, **columns: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint(
            [column, "exercise"], [f"{other}.id", f"{other}.exercise"], name=op.f(f"fk_{table}_{column}_exercise")
        )
        for column, other in columns.items()
    ]


def upgrade() -> None:
    op.create_table(
        "file_copies",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("attachment_id", BigId, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("begun", BigId, nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("made_at", Instant(), nullable=True),
        sa.Column("why", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("removed", Json, nullable=True),
        sa.Column("unchanged", sa.Boolean(), nullable=False),
        sa.Column("bears_source", sa.Boolean(), nullable=True),
        sa.Column("media_type", sa.String(length=120), nullable=False),
        sa.Column("ending", sa.String(length=80), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        *_within("file_copies", attachment_id="attachments", incident_id="incidents"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_copies")),
        sa.UniqueConstraint("attachment_id", name=op.f("uq_file_copies_attachment_id")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_file_copies_id_exercise")),
    )
    op.create_table(
        "file_copy_parts",
        sa.Column("copy_id", BigId, autoincrement=False, nullable=False),
        sa.Column("part", BigId, autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["copy_id"], ["file_copies.id"], name=op.f("fk_file_copy_parts_copy_id")),
        sa.PrimaryKeyConstraint("copy_id", "part", name=op.f("pk_file_copy_parts")),
    )
    _released()


def _released() -> None:
    op.create_table(
        "release_files",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("release_id", BigId, nullable=False),
        sa.Column("item_version_id", BigId, nullable=False),
        sa.Column("attachment_id", BigId, nullable=False),
        sa.Column("copy_id", BigId, nullable=True),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("media_type", sa.String(length=120), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("drawn", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        *_within("release_files", release_id="releases", item_version_id="item_versions",
                 attachment_id="attachments", copy_id="file_copies"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_files")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_release_files_id_exercise")),
        sa.UniqueConstraint(
            "release_id", "item_version_id", name=op.f("uq_release_files_release_id_item_version_id")
        ),
    )  # fmt: skip
    op.create_table(
        "file_handouts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("handout_id", BigId, nullable=False),
        sa.Column("release_file_id", BigId, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["handout_id"], ["handouts.id"], name=op.f("fk_file_handouts_handout_id")),
        *_within("file_handouts", release_file_id="release_files"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_handouts")),
        sa.UniqueConstraint("handout_id", name=op.f("uq_file_handouts_handout_id")),
    )
    op.create_index("ix_file_handouts_release_file", "file_handouts", ["release_file_id"], unique=False)
    for table in ("release_files", "file_handouts"):
        protect_later(op.get_bind(), table)
    protect_permits(op.get_bind(), REFUSED_FILES)


def downgrade() -> None:
    unprotect_permits(op.get_bind(), REFUSED_FILES)
    for table in ("file_handouts", "release_files", "file_copy_parts", "file_copies"):
        op.drop_table(table)
