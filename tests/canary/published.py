"""Texts of a random world that differ by who reads: for the public, and a release in versions for its recipients."""

from __future__ import annotations

from typing import Any

from coordinator.accounts.principal import Principal
from coordinator.alerts import drafts, publishing
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.references import parse_reference
from coordinator.markings import Marking
from coordinator.sharing.approvals import approve

#: (what becomes of it, whose need-to-know its words are).
_TEXTS = (("published", "public"), ("cleared and not published", "case"), ("published and withdrawn", "case"),
          ("asked for and not cleared", "case"))  # fmt: skip


def publish(built: Any, *, case: str) -> None:
    """On a case of ours: drafted and asked for by one person, cleared by another, published by the first."""
    lead, second = (_principal(built, name) for name in ("coordinator-0", "release-authority-0"))
    number = parse_reference(built.references[list(built.model.cases).index(case)]) or 0
    with built.machine.store.unit_of_work() as tx:
        for what, area in _TEXTS:
            row = drafts.draft(
                tx, incident=lock_incident(tx, number), principal=lead, kind="initial",
                title=built.model.word(f"title {what}", area, case=case), purpose="situational-awareness",
                body=built.model.word(f"text {what}", area, case=case), info_category="mitigation-guidance",
                marking=Marking(tlp="CLEAR"),
            )  # fmt: skip
            asked = publishing.ask(tx, row.id, principal=lead)
            if "not cleared" not in what:
                approve(tx, asked.id, principal=second)
            if what.startswith("published"):
                notice = publishing.publish(tx, row.id, principal=lead)
            if what.endswith("withdrawn"):
                reason = built.model.word("reason to withdraw a notice", "case", case=case)
                publishing.withdraw(tx, notice.public_id, principal=lead, reason=reason)
            built.afterwards.done[f"for the public: {what}"] += 1


def in_versions(built: Any, *, case: str) -> None:
    """A release of two notes: the first partner gets one of them, under a title of its own, the second partner both.
    A draft of a third text stays one."""
    word, who = built.model.word, "coordinator-0"
    path = f"/incidents/{built.references[list(built.model.cases).index(case)]}"
    at = len(built.model.words)
    notes = [built.api(who, "POST", f"{path}/notes", {"text": word(f"note {which} a version", "alert", case=case)})
             for which in ("in", "left out of")]  # fmt: skip
    said = {"kind": "initial", "purpose": "network-defence"}
    base = built.api(who, "POST", f"{path}/releases", {
        **said, "title": word("title of what is in versions", "alert", case=case),
        "items": [one["id"] for one in notes]})  # fmt: skip
    version = built.api(who, "POST", f"{path}/releases/{base['id']}/versions", {
        "audience": {"organisations": [built.partners[0].code]}, "include": [notes[0]["item"]],
        "title": word("title of one version", "alert", case=case)})  # fmt: skip
    into = [(base["id"], version["id"]), (base["id"],), (base["id"],), (version["id"],)]
    for number, releases in enumerate(into, at):
        one = built.model.words[number]
        built.model.words[number] = type(one)(**vars(one) | {"release": releases[0], "also": releases[1:]})
    built.api(who, "POST", f"{path}/releases", {
        **said, "title": word("title of a draft", "case", case=case), "body": word("draft", "case", case=case)})
    to = [one.code for one in built.partners[:2]]
    built.api(who, "POST", f"{path}/releases/{base['id']}/submit", {"recipients": to})
    built.afterwards.done["told in versions"] += 1


def _principal(built: Any, name: str) -> Principal:
    one = next(each for each in built.people if each.name == name)
    return Principal(one.user_id, one.name, one.role)
