"""What the database itself refuses of labels (R06, I3): a version of what somebody else said under a looser label is
put in only where its originator's word on it is on record and a second person confirmed that word."""

from __future__ import annotations


def _rank(column: str) -> str:
    """The order of the labels; what is unmarked counts as AMBER+STRICT."""
    return (
        f"(CASE {column} WHEN 'CLEAR' THEN 0 WHEN 'GREEN' THEN 1 WHEN 'AMBER' THEN 2 WHEN 'RED' THEN 4 ELSE 3 END)"
    )


def _floor(organisation: str) -> str:
    """What this originator said last of the item that is put in: its newest word that holds, else its first label."""
    return (
        f"COALESCE((SELECT {_rank('w.tlp')} FROM label_words w JOIN label_word_items i ON i.word_id = w.id"
        f" WHERE i.item = NEW.item AND w.from_id = {organisation} AND w.state IN ('effective', 'raised')"
        f" ORDER BY w.said_at DESC, w.id DESC LIMIT 1), (SELECT {_rank('v.tlp')} FROM item_versions v"
        " WHERE v.item = NEW.item AND v.version = 1))"
    )


def _confirmed(item: str, incident: str = "") -> str:
    within = f" AND w.incident_id = {incident}" if incident else ""
    return (
        "EXISTS (SELECT 1 FROM label_words w JOIN label_word_items i ON i.word_id = w.id"
        f" WHERE i.item = {item}{within} AND w.state = 'effective' AND {_rank('w.tlp')} <= {_rank('NEW.tlp')})"
    )


_LAST = (
    "(SELECT l.tlp FROM item_versions l WHERE l.item = NEW.item AND l.version < NEW.version"
    " ORDER BY l.version DESC LIMIT 1)"
)

#: (trigger, table, when, what is said) of rows that are put in.
REFUSED_ROWS = (
    ("item_versions_lowered", "item_versions",
     "NEW.version > 1 AND NEW.originator_id IS NOT NULL AND ("
     f"{_rank('NEW.tlp')} < {_floor('NEW.originator_id')}"
     f" OR (NEW.source_id IS NOT NULL AND {_rank('NEW.tlp')} < {_floor('NEW.source_id')})"
     f" OR ({_rank('NEW.tlp')} < {_rank(_LAST)} AND NOT {_confirmed('NEW.item')}))",
     "a label is lowered by its originator only, on record"),
    ("label_words_begin", "label_words",
     "NEW.state NOT IN ('waiting', 'raised') OR NEW.answered_by <> ''",
     "a word on a label waits for a second person"),
    ("label_word_items_begin", "label_word_items",
     "EXISTS (SELECT 1 FROM label_words p WHERE p.id = NEW.word_id AND (p.state NOT IN ('waiting', 'raised')"
     f" OR (p.state = 'raised' AND {_rank('p.tlp')} < COALESCE((SELECT {_rank('v.tlp')} FROM item_versions v"
     " WHERE v.item = NEW.item ORDER BY v.version DESC LIMIT 1), (SELECT "
     f"{_rank('n.tlp')} FROM incidents n WHERE n.id = p.incident_id)))))",
     "what a word is about is said with it, and a stricter label is no looser one"),
)  # fmt: skip

#: (trigger, table, columns, when, what is said) of rows that are changed.
REFUSED_CHANGES = (
    ("label_words_answered", "label_words", ("state", "answered_by"),
     "OLD.state <> 'waiting' OR NEW.state = 'raised' OR (NEW.state = 'effective' AND (NEW.answered_by = ''"
     " OR NEW.answered_by = OLD.asked_by))",
     "a second person confirms a word on a label, once"),
    ("incidents_lowered", "incidents", ("tlp",),
     f"OLD.originator_id IS NOT NULL AND {_rank('NEW.tlp')} < {_rank('OLD.tlp')}"
     f" AND NOT {_confirmed(chr(39) * 2, 'NEW.id')}",
     "a label is lowered by its originator only, on record"),
)  # fmt: skip
