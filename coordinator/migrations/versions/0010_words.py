"""An index of words and codes for the board, and indexes for its filters and counts.

PostgreSQL: one GIN index over the folded text and the lists of codes; nothing beyond the server itself is needed.
SQLite: a table of FTS5 without content (words and ids, no text), which triggers keep in step in the same transaction.
"""

import sqlalchemy as sa
from alembic import op

from coordinator.incidents.words import searchable

revision = "0010"
down_revision = "0009"

INDEXES = (
    ("ix_incidents_severity", "incidents", ("exercise", "status", "severity", "updated_at", "id")),
    ("ix_incidents_owner", "incidents", ("exercise", "owner_id", "status", "updated_at", "id")),
    ("ix_external_references_external_id", "external_references", ("external_id",)),
    ("ix_alerts_unanswered", "alerts", ("ack", "state", "id")),
)
BEFORE = (
    ("ix_incidents_severity", "incidents", ("exercise", "severity", "updated_at", "id")),
    ("ix_incidents_owner", "incidents", ("owner_id", "status")),
)
GIN = (
    "CREATE INDEX ix_incidents_words ON incidents USING gin "
    "(to_tsvector('simple'::regconfig, search_text), states_affected, sectors)"
)
#: ASCII letters and digits, whatever is not ASCII, colon and hyphen make words: so do `words.searchable` and codes.
FTS = (
    "CREATE VIRTUAL TABLE incident_words USING fts5 "
    "(words, content='', detail='none', columnsize=0, tokenize=\"ascii tokenchars ':-'\")"
)
COLUMNS = ("search_text", "states_affected", "sectors")


def _words(row: str) -> str:
    """What is indexed of a row: its words, and its codes as `state:fi` and `sector:health`."""
    codes = " || ' ' || ".join(
        f"coalesce((SELECT group_concat('{kind}:' || lower(value), ' ') FROM json_each({row}{column})), '')"
        for kind, column in (("state", "states_affected"), ("sector", "sectors"))
    )
    return f"{row}search_text || ' ' || {codes}"


PUT = f"INSERT INTO incident_words (rowid, words) VALUES (new.id, {_words('new.')});"
TAKE = f"INSERT INTO incident_words (incident_words, rowid, words) VALUES ('delete', old.id, {_words('old.')});"
CHANGED = " OR ".join(f"old.{name} IS NOT new.{name}" for name in COLUMNS)
TRIGGERS = {
    "incident_words_insert": f"AFTER INSERT ON incidents BEGIN {PUT} END",
    "incident_words_update": f"AFTER UPDATE OF {', '.join(COLUMNS)} ON incidents WHEN {CHANGED} BEGIN {TAKE} {PUT} END",
    "incident_words_delete": f"AFTER DELETE ON incidents BEGIN {TAKE} END",
}


def upgrade() -> None:
    for name, table, _columns in BEFORE:
        op.drop_index(name, table)
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    _fold()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(GIN.replace(":", r"\:")))
        return
    for statement in (FTS, f"INSERT INTO incident_words (rowid, words) SELECT id, {_words('')} FROM incidents",
                      *(f"CREATE TRIGGER {name} {what}" for name, what in TRIGGERS.items())):  # fmt: skip
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """The text stays folded: the search of before finds whole words in it."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_incidents_words", "incidents")
    else:
        for name in TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
        op.execute("DROP TABLE incident_words")
    for name, table, _columns in INDEXES:
        op.drop_index(name, table)
    for name, table, columns in BEFORE:
        op.create_index(name, table, columns)


def _fold() -> None:
    connection = op.get_bind()
    incidents = sa.table("incidents", sa.column("id", sa.Integer), sa.column("search_text", sa.Text))
    last = 0
    while True:
        query = sa.select(incidents).where(incidents.c.id > last, incidents.c.search_text != "")
        rows = connection.execute(query.order_by(incidents.c.id).limit(500)).all()
        if not rows:
            return
        last = rows[-1].id
        connection.execute(
            sa.update(incidents).where(incidents.c.id == sa.bindparam("number"))
            .values(search_text=sa.bindparam("said")),
            [{"number": row.id, "said": searchable(*row.search_text.split("\n", 2))} for row in rows],
        )  # fmt: skip
