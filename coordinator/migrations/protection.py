"""What may never be changed, said to the database itself: triggers on both stores, grants on PostgreSQL.

On SQLite the owner of the host can drop a trigger; the record's checkpoints kept elsewhere are what shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

#: Rows of these are never changed and never deleted.
APPEND_ONLY = (
    "entries", "checkpoints", "checkpoint_heads", "item_versions", "share_decisions", "delivery_attempts",
    "acknowledgements",
)  # fmt: skip
#: Rows of these may be deleted (erasure) but never changed.
UNCHANGED = ("entry_values", "report_bodies")
#: Of these only the other columns may be changed, and rows are never deleted.
FIXED_COLUMNS = {
    "reports": ("public_id", "received_at", "via", "organisation_id", "endpoint_id", "endpoint_key_id", "user_id",
                "message_id", "raw_digest", "raw_size", "exercise"),
    "approvals": ("decision_id", "user_id", "role", "answer", "reason", "at", "content_digest", "exercise"),
    "agreements": ("key", "version", "terms", "digest", "recorded_by"),
    "playbook_versions": ("playbook_id", "version", "digest", "document"),
    "alerts": ("release_id", "recipient", "decision_id", "content_digest", "public_id", "exercise"),
}  # fmt: skip

#: The same for tables that came after the triggers (`protect_later`).
LATER_FIXED_COLUMNS = {
    "standing_clearances": ("title", "body", "language", "content_digest", "until", "proposed_by", "proposed_role",
                            "proposed_at"),
    "proposed_changes": ("kind", "subject", "old_digest", "new_digest", "data_key_id", "sealed", "source", "asked_by",
                         "asked_at"),
    "consent_requests": ("incident_id", "release_id", "decision_id", "from_id", "to_id", "purpose", "item",
                         "valid_until", "reply_by", "asked_by", "asked_at", "exercise"),
    "recalls": ("incident_id", "cause", "reason", "asked_by", "asked_at", "exercise"),
    "recalled": ("recall_id", "release_id", "recipient", "asks_id", "at", "exercise"),
    "public_notices": ("release_id", "incident_id", "recipient", "decision_id", "content_digest", "public_id",
                       "replaces_id", "published_at", "published_by", "exercise"),
    "release_versions": ("release_id", "version_of_id", "recipients", "included", "left_out", "exercise"),
    "reviews": ("incident_id", "cause", "consent_id", "alerts", "opened_at", "exercise"),
    "wrong_releases": ("alert_id", "incident_id", "marked_by", "marked_at", "exercise"),
    "agreement_documents": ("key", "name", "media_type", "sha256", "size", "tlp", "data_key_id", "sealed", "added_at",
                            "added_by"),
    "playbook_signatures": ("version_id", "signature", "digest", "added_at", "added_by"),
    "handouts": ("alert_id", "decision_id", "user_id", "way", "format", "at", "exercise"),
    "release_files": ("release_id", "item_version_id", "attachment_id", "copy_id", "name", "media_type", "sha256",
                      "size", "drawn", "reason", "exercise"),
    "file_handouts": ("handout_id", "release_file_id", "sha256", "exercise"),
    "http_attempts": ("call_id", "number", "at", "outcome", "status", "exercise"),
    "releases": ("incident_id", "kind", "purpose", "info_category", "title_version_id", "body_version_id", "marking",
                 "originator_id", "content_digest", "language", "reply_by", "facts", "ack", "requested_by",
                 "created_at", "exercise"),
    "release_items": ("release_id", "item_version_id", "enclosed", "field", "exercise"),
    "consents": ("from_id", "to_id", "purpose", "item", "valid_until", "evidence", "granted_at", "recorded_by",
                 "answer"),
    "deliveries": ("alert_id", "rung", "contact_id", "channel_id", "user_id", "kind", "webhook_id", "ack_hash",
                   "created_at", "exercise"),
    "obligation_rules": ("rule", "version", "digest", "terms", "recorded_at", "recorded_by"),
    "label_words": ("incident_id", "from_id", "tlp", "channel", "said_at", "report_id", "data_key_id", "sealed",
                    "file_name", "file_type", "file_sha256", "file_sealed", "asked_by", "asked_at", "exercise"),
    "label_word_items": ("word_id", "item", "exercise"),
}  # fmt: skip

#: Rows that are refused when they are put in: (trigger, table, when, what is said).
REFUSED_ROWS = (
    ("approvals_second_person", "approvals",
     "EXISTS (SELECT 1 FROM share_decisions d WHERE d.id = NEW.decision_id AND (d.requested_by = 'user:' || NEW.user_id"
     " OR d.result <> 'refer' OR d.content_digest <> NEW.content_digest))",
     "a second person answers what was referred, for exactly that text"),
    ("alerts_permit_holds", "alerts",
     "EXISTS (SELECT 1 FROM share_decisions d WHERE d.id = NEW.decision_id AND (d.valid_until <= NEW.created_at"
     " OR EXISTS (SELECT 1 FROM share_decisions l WHERE l.release_id = d.release_id AND l.recipient = d.recipient"
     " AND l.id > d.id AND l.result <> 'permit' AND COALESCE(l.contact_id, 0) = COALESCE(d.contact_id, 0))))",
     "the permit is over, or a later decision took it back"),
    ("delivery_attempts_permit", "delivery_attempts",
     "NEW.outcome IN ('delivered', 'handed-over') AND NOT EXISTS (SELECT 1 FROM share_decisions d JOIN deliveries y"
     " ON y.id = NEW.delivery_id JOIN alerts a ON a.id = y.alert_id WHERE d.id = NEW.decision_id"
     " AND d.result = 'permit' AND d.release_id = a.release_id AND d.recipient = a.recipient"
     " AND d.content_digest = a.content_digest)",
     "nothing leaves without a permit for that text and recipient"),
)  # fmt: skip

#: Of a delivery: its decision is on another release, another recipient or another way.
_OTHER_WAY = (
    "NOT EXISTS (SELECT 1 FROM share_decisions d JOIN alerts a ON a.id = NEW.alert_id WHERE d.id = NEW.decision_id"
    " AND d.release_id = a.release_id AND d.recipient = a.recipient"
    " AND COALESCE(d.contact_id, 0) = COALESCE(NEW.contact_id, 0)"
    " AND COALESCE(d.channel_id, 0) = COALESCE(NEW.channel_id, 0)"
    " AND COALESCE(a.user_id, 0) = COALESCE(NEW.user_id, 0))"
)

#: The same for files that leave with a release: only with a permit for its text, and only the bytes it names.
REFUSED_FILES = (
    ("file_handouts_permit", "file_handouts",
     "NOT EXISTS (SELECT 1 FROM handouts h JOIN share_decisions d ON d.id = h.decision_id JOIN alerts a"
     " ON a.id = h.alert_id JOIN release_files f ON f.release_id = a.release_id WHERE h.id = NEW.handout_id"
     " AND f.id = NEW.release_file_id AND f.sha256 = NEW.sha256 AND d.result = 'permit'"
     " AND d.release_id = a.release_id AND d.recipient = a.recipient AND d.content_digest = a.content_digest"
     " AND d.valid_until > h.at)",
     "no file leaves without a permit for that release and recipient, nor with other bytes"),
)  # fmt: skip


#: Where something goes, and who may see it, is what was decided; published is what a release authority cleared.
REFUSED_WAYS = (
    ("alerts_recipient", "alerts",
     "(NEW.organisation_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM organisations o WHERE o.id = NEW.organisation_id"
     " AND o.code = NEW.recipient)) OR (NEW.user_id IS NOT NULL AND NEW.recipient <> 'user:' || NEW.user_id)",
     "an alert is for the recipient that its permit names"),
    ("deliveries_way", "deliveries", _OTHER_WAY, "a delivery goes by the way that was decided on"),
    ("public_notices_cleared", "public_notices",
     "NOT EXISTS (SELECT 1 FROM share_decisions d JOIN share_decisions asked ON asked.release_id = d.release_id"
     " AND asked.recipient = d.recipient JOIN approvals a ON a.decision_id = asked.id WHERE d.id = NEW.decision_id"
     " AND d.release_id = NEW.release_id AND d.valid_until > NEW.published_at AND a.answer = 'approve'"
     " AND a.role = 'release-authority' AND a.content_digest = NEW.content_digest AND a.until > NEW.published_at"
     " AND d.requested_by <> 'user:' || a.user_id)",
     "a release authority who did not ask for it clears exactly what is published"),
)  # fmt: skip

#: What is over is not begun again, and what somebody gave is not made longer: (trigger, table, columns, when, said).
REFUSED_CHANGES = (
    ("approvals_end_stays", "approvals", ("until", "voided_at"),
     "NEW.until <> OLD.until OR (OLD.voided_at IS NOT NULL AND (NEW.voided_at IS NULL OR NEW.voided_at <>"
     " OLD.voided_at))",
     "an approval lasts as its giver said, and one that was taken back stays so"),
    ("consents_stay_withdrawn", "consents", ("withdrawn_at",),
     "OLD.withdrawn_at IS NOT NULL AND (NEW.withdrawn_at IS NULL OR NEW.withdrawn_at <> OLD.withdrawn_at)",
     "a consent that was withdrawn stays so"),
    ("agreements_amended_stay", "agreements", ("current",), "NEW.current AND NOT OLD.current",
     "a version of an agreement that was amended is not in force again"),
    ("releases_stay_withdrawn", "releases", ("state",), "OLD.state = 'withdrawn' AND NEW.state <> 'withdrawn'",
     "a release that was withdrawn stays so"),
)  # fmt: skip


#: The same of what came after these; `1 = 1`: never changed at all.
LATER_REFUSED_CHANGES = (
    ("alerts_same_recipient", "alerts",
     ("incident_id", "kind", "organisation_id", "user_id", "partner_reference", "in_reply_to_id", "ack", "created_at"),
     "1 = 1", "whose an alert is never changes"),
    ("alerts_stay_withdrawn", "alerts", ("state", "withdrawn_at"),
     "OLD.state = 'withdrawn' AND (NEW.state <> 'withdrawn' OR NEW.withdrawn_at IS NULL)",
     "an alert that was withdrawn stays so"),
    ("deliveries_same_way", "deliveries", ("decision_id",), _OTHER_WAY,
     "a delivery goes by the way that was decided on"),
    ("deliveries_stay_cancelled", "deliveries", ("state",), "OLD.state = 'cancelled' AND NEW.state <> 'cancelled'",
     "a delivery that was called off stays so"),
    ("public_notices_stay_withdrawn", "public_notices", ("withdrawn_at",),
     "OLD.withdrawn_at IS NOT NULL AND (NEW.withdrawn_at IS NULL OR NEW.withdrawn_at <> OLD.withdrawn_at)",
     "what was withdrawn from the public stays so"),
    ("standing_clearances_confirmed_once", "standing_clearances", ("confirmed_by", "confirmed_role", "confirmed_at"),
     "OLD.confirmed_at IS NOT NULL", "a text is cleared beforehand once"),
    ("standing_clearances_stay_revoked", "standing_clearances", ("revoked_at",),
     "OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NULL OR NEW.revoked_at <> OLD.revoked_at)",
     "a clearance that was revoked stays so"),
    ("reviews_answered_once", "reviews", ("answer", "answered_by", "answered_at"), "OLD.answer <> ''",
     "what a person decided on what left stays so"),
)  # fmt: skip


Changes = Sequence[tuple[str, str, tuple[str, ...], str, str]]


def refuse_changes(connection: Connection, rows: Changes = REFUSED_CHANGES) -> None:
    """Refuse changes that would make what is over hold again."""
    for name, table, columns, when, said in rows:
        of = ", ".join(f'"{column}"' for column in columns)
        if connection.dialect.name == "postgresql":
            connection.execute(text(
                f"CREATE FUNCTION coordinator_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF {when} THEN RAISE EXCEPTION 'refused: {said}'; END IF; RETURN NEW; END $$"
            ))  # fmt: skip
            connection.execute(text(
                f"CREATE TRIGGER {name} BEFORE UPDATE OF {of} ON {table} FOR EACH ROW "
                f"EXECUTE FUNCTION coordinator_{name}()"
            ))  # fmt: skip
        else:
            connection.execute(text(
                f"CREATE TRIGGER {name} BEFORE UPDATE OF {of} ON {table} WHEN {when} "
                f"BEGIN SELECT RAISE(ABORT, 'refused: {said}'); END"
            ))  # fmt: skip


def allow_changes(connection: Connection, rows: Changes = REFUSED_CHANGES) -> None:
    """Take these away again."""
    unprotect_permits(connection, [(name, table, "", "") for name, table, *_rest in rows])


def protect_permits(connection: Connection, rows: Sequence[tuple[str, str, str, str]] = REFUSED_ROWS) -> None:
    """Refuse rows that would say that something left, or was cleared, against the rules (R01, R09)."""
    for name, table, when, said in rows:
        if connection.dialect.name == "postgresql":
            connection.execute(text(
                f"CREATE FUNCTION coordinator_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF {when} THEN RAISE EXCEPTION 'refused: {said}'; END IF; RETURN NEW; END $$"
            ))  # fmt: skip
            connection.execute(text(
                f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION coordinator_{name}()"
            ))  # fmt: skip
        else:
            connection.execute(text(
                f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN {when} "
                f"BEGIN SELECT RAISE(ABORT, 'refused: {said}'); END"
            ))  # fmt: skip


def unprotect_permits(connection: Connection, rows: Sequence[tuple[str, str, str, str]] = REFUSED_ROWS) -> None:
    for name, table, _when, _said in rows:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name} ON {table}"))
            connection.execute(text(f"DROP FUNCTION IF EXISTS coordinator_{name}()"))
        else:
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))


def protect(connection: Connection) -> None:
    """Put the triggers in place."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(
            "CREATE FUNCTION coordinator_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% of % is refused: the record is append-only', TG_OP, TG_TABLE_NAME; END $$"
        ))  # fmt: skip
    for name, table, what in _triggers():
        connection.execute(text(_create(connection.dialect.name, name, table, what)))
    if connection.dialect.name == "postgresql":
        for table in (*APPEND_ONLY, *UNCHANGED, *FIXED_COLUMNS):
            connection.execute(text(_no_truncate(table)))


def protect_later(connection: Connection, table: str) -> None:
    """Put the triggers of a table in place that was made after the others."""
    dialect = connection.dialect.name
    for name, _table, what in _fixed({table: LATER_FIXED_COLUMNS[table]}):
        connection.execute(text(_create(dialect, name, table, what)))
    if dialect == "postgresql":
        connection.execute(text(_no_truncate(table)))


def unprotect_later(connection: Connection, table: str) -> None:
    """Take the triggers of such a table away again; where the table itself goes, they go with it."""
    on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
    for name, _table, _what in _fixed({table: LATER_FIXED_COLUMNS[table]}):
        connection.execute(text(f"DROP TRIGGER IF EXISTS {name}{on}"))
    if on:
        connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_truncate{on}"))


def unprotect(connection: Connection) -> None:
    """Take the triggers away again (a step back of the migrations)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("DROP FUNCTION coordinator_refuse() CASCADE"))
        return
    for name, _table, _what in _triggers():
        connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))


def grant_to(connection: Connection, database_url: str) -> None:
    """Give the application's role rows and no structure: no DDL, no TRUNCATE, no triggers, no change of the record."""
    role = '"' + (make_url(database_url).username or "").replace('"', '""') + '"'
    said = [
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
        *(f"REVOKE UPDATE, DELETE ON {table} FROM {role}" for table in APPEND_ONLY),
        *(f"REVOKE UPDATE ON {table} FROM {role}" for table in UNCHANGED),
        *(f"REVOKE DELETE ON {table} FROM {role}" for table in {**FIXED_COLUMNS, **LATER_FIXED_COLUMNS}),
    ]
    for statement in said:
        connection.execute(text(statement))


def _triggers() -> list[tuple[str, str, str]]:
    """(trigger name, table, `UPDATE`, `DELETE` or `UPDATE OF columns`)."""
    found = [(f"{table}_no_{what.lower()}", table, what) for table in APPEND_ONLY for what in ("UPDATE", "DELETE")]
    found += [(f"{table}_no_update", table, "UPDATE") for table in UNCHANGED]
    return found + _fixed(FIXED_COLUMNS)


def _fixed(tables: Mapping[str, Sequence[str]]) -> list[tuple[str, str, str]]:
    found = []
    for table, columns in tables.items():
        names = ", ".join(f'"{column}"' for column in columns)
        found += [(f"{table}_fixed", table, f"UPDATE OF {names}"), (f"{table}_no_delete", table, "DELETE")]
    return found


def _no_truncate(table: str) -> str:
    return (
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION coordinator_refuse()"
    )


def _create(dialect: str, name: str, table: str, what: str) -> str:
    if dialect == "postgresql":
        return f"CREATE TRIGGER {name} BEFORE {what} ON {table} FOR EACH ROW EXECUTE FUNCTION coordinator_refuse()"
    return (
        f"CREATE TRIGGER {name} BEFORE {what} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'change of {table} is refused: the record is append-only'); END"
    )
