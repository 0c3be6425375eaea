"""The alert step: each of its audience is told what they may have of it, and nobody waits for what another may not.

What is said of an incident is put together of parts, as what a share step tells is (coordinator/alerts/by_recipient):
its title, its summary or what the playbook's own text says, its facts, what is asked. The texts that hold no word of a
case (a communication check, the request to call our desk) are the same for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.accounts.principal import SYSTEM
from coordinator.alerts import service as alerts
from coordinator.alerts.pieces import KIND, Made, add_facts, text_of_parts
from coordinator.alerts.telling import Told as Raised
from coordinator.alerts.telling import said_before
from coordinator.alerts.wording import KINDS
from coordinator.errors import Refused
from coordinator.incidents import queries as incidents
from coordinator.incidents.holds import lock_incident_row
from coordinator.incidents.items import marking_of, write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking, Tlp, combine, parse_tlp
from coordinator.runs import sources
from coordinator.runs.arms import Begun
from coordinator.sharing import parts as names
from coordinator.sharing.inputs_from_world import as_the_incident
from coordinator.sharing.models import Release
from coordinator.sharing.service import PARTS_ALONE, prepare_release
from playbooks.events import Event, Told
from workers.audiences import audience_of
from workers.sharing_step import ASSESSMENT, CLEAR, NAMED, WITHHOLD
from workers.texts import ANSWER_US, CHECK_BODY, CHECK_TITLE, LONGEST_TITLE

PURPOSE, CATEGORY = "incident-response", "incident-notification"
CHECK, CALL_US = "check", "call-our-desk"
_SLOT = re.compile(r"\{(title|summary|facts)\}")


def begin(tx: Session, work: Begun) -> Sequence[Event]:
    """Tell the audience. Who is told or waits for clearance, and who must not be told, is known at once."""
    incident = work.incident
    if incident is None or work.spec["message"] in (CHECK, CALL_US):
        told = _tell_all_the_same(tx, work)
    else:
        lock_incident_row(tx, incident.id)
        told = alerts.tell_each(tx, _draft(tx, work, incident), audience=audience_of(tx, work))
    work.attempt.release_id = told.release.id
    tx.flush()
    if told.unreachable:
        timeline.append(
            tx, "run.notice", "Somebody who was to be told cannot be reached.", actor=SYSTEM, incident=incident,
            values={each.code: each.reason for each in told.unreachable}, about=("run", work.run.id),
            exercise=work.run.exercise,
        )  # fmt: skip
        timeline.pending(tx, "run.notice", work.run.id, exercise=work.run.exercise)
    reached = [each.recipient for each in told.permitted] + [each.recipient for each in told.referred]
    refused = [*(each.recipient for each in told.denied), *(each.code for each in told.unreachable)]
    return [Told(work.key, tuple(reached), tuple(refused))]


def _tell_all_the_same(tx: Session, work: Begun) -> Raised:
    """A fixed text, or one of a run without an incident: it has no parts that one may have and another may not."""
    spec, language = work.spec, "en"
    template, fixed = spec.get("template") or "", spec["message"] in (CHECK, CALL_US)
    title, body = KINDS[spec["message"]], _filled(template, {}) or ANSWER_US
    if spec["message"] == CHECK:
        title, body = CHECK_TITLE, CHECK_BODY
    elif spec["message"] == CALL_US:
        title, body, language = alerts.text_for(tx)
    bound = sources.binding(tx, spec.get("sources", ()), incident=work.incident, playbook=work.playbook)
    return alerts.tell(
        tx, incident=None if spec["message"] == CHECK else work.incident, kind=spec["message"], title=title, body=body,
        purpose=spec.get("purpose") or PURPOSE, info_category=spec.get("category") or CATEGORY,
        requested_by=work.run.started_by, audience=audience_of(tx, work), tlp_max=spec.get("tlp_max") or "",
        marking=CLEAR if fixed else bound.marking if template else None, items=() if fixed else bound.parts,
        language=language, ack=_asked(spec), ladder=(), exercise=work.run.exercise,
    )  # fmt: skip


def _draft(tx: Session, work: Begun, incident: Incident) -> Release:
    """What this step says of the incident, each part by itself. Raises Refused where it is above the step's `tlp_max`;
    a title above it is not used. `attribution`: as in a share step."""
    spec = work.spec
    attribution = spec.get("attribution") or NAMED
    ceiling = parse_tlp(spec["tlp_max"]) if spec.get("tlp_max") else Tlp.RED
    told = _told_of(tx, work, incident, all_of_it=attribution == NAMED)
    made = Made()
    title = told.get("title")
    if title is not None and marking_of(title).effective <= ceiling:
        made.add(title, names.TITLE)
    if spec.get("template"):
        _add_own_text(tx, work, incident, made, told)
    else:
        _add_usual(tx, work, incident, made, told.get("summary"))
    named = title is not None and title.id in made.fields
    draft = prepare_release(
        tx, kind=spec["message"], title=incidents.title_of(tx, incident)[:LONGEST_TITLE] if named else _kind(spec),
        body=text_of_parts(tx, made.versions, made.fields), purpose=spec.get("purpose") or PURPOSE,
        info_category=_category(spec), requested_by=work.run.started_by, incident=incident, items=made.versions,
        fields=made.fields, in_reply_to=said_before(tx, incident, spec["message"]), ack=_asked(spec), ladder=(),
        of_incident=True, facts={PARTS_ALONE: True}, unnamed=attribution == WITHHOLD,
    )  # fmt: skip
    label = Marking.from_json(draft.marking).effective
    if label > ceiling:
        raise Refused(f"The text is {label.label}, and at most TLP:{ceiling.value} may be told here.")
    return draft


def _told_of(tx: Session, work: Begun, incident: Incident, *, all_of_it: bool) -> dict[str, ItemVersion]:
    """Its title and summary; a title that nobody stated is bound as the incident. But for `all_of_it`, nothing of what
    says who did it."""
    told = incidents.told_of(tx, incident)
    if "title" not in told and incident.title:
        told["title"] = _written(tx, work, incident, incident.title, as_the_incident(incident)[0])
    return {kind: version for kind, version in told.items() if all_of_it or version.info_category != ASSESSMENT}


def _add_usual(tx: Session, work: Begun, incident: Incident, made: Made, summary: ItemVersion | None) -> None:
    """The words for a kind of message: the first one says what was reported and asks for an answer."""
    first = work.spec["message"] == "initial"
    if first and summary is not None:
        made.add(summary, names.ITEM)
    _add_facts(tx, work, incident, made, () if first else ("status",))
    if first:
        made.add(_written(tx, work, incident, ANSWER_US, as_the_incident(incident)[0]), names.ASKS)


def _add_own_text(
    tx: Session, work: Begun, incident: Incident, made: Made, told: Mapping[str, ItemVersion]
) -> None:
    """The playbook's own text: its words are one part, bound by every value in them; the summary and the facts are
    parts of their own where they stand in a paragraph of their own, and bind the words where they stand among them."""
    bound = sources.binding(tx, work.spec.get("sources", ()), incident=incident, playbook=work.playbook)
    for paragraph in re.split(r"\n[ \t]*\n", work.spec["template"]):
        alone = paragraph.strip()
        if alone == "{summary}" and "summary" in told:
            made.add(told["summary"], names.ITEM)
        elif alone == "{facts}":
            _add_facts(tx, work, incident, made, ("status",) if work.spec["message"] != "initial" else ())
        elif alone:
            _add_words(tx, work, incident, made, told, paragraph, bound.marking)
    if names.DESCRIPTION in made.fields.values():
        for part in bound.parts:
            made.add(part, names.DESCRIPTION)


def _add_words(
    tx: Session, work: Begun, incident: Incident, made: Made, told: Mapping[str, ItemVersion], paragraph: str,
    marking: Marking,
) -> None:  # fmt: skip
    used = set(_SLOT.findall(paragraph))
    binding = [told[kind] for kind in ("title", "summary") if kind in used and kind in told]
    facts = Made()
    if "facts" in used:
        _add_facts(tx, work, incident, facts, ("status",) if work.spec["message"] != "initial" else ())
        binding += [each for each in facts.versions if each.kind != KIND]
    fillings = {
        "title": incidents.title_of(tx, incident) if "title" in told else "",
        "summary": incidents.summary_of(tx, incident) if "summary" in told else "",
        "facts": text_of_parts(tx, facts.versions, facts.fields),
    }
    said = _filled(paragraph, fillings)
    if not said.strip():
        return
    labels = combine([marking, *(marking_of(each) for each in binding)])
    made.add(_written(tx, work, incident, said, labels), names.DESCRIPTION)
    for each in binding:
        made.add(each, names.DESCRIPTION)


def _add_facts(tx: Session, work: Begun, incident: Incident, made: Made, first: Sequence[str]) -> None:
    """What is known: when it began to be, of the instants the one that says most."""
    since = next((name for name in ("noticed_at", "detected_at", "occurred_at") if getattr(incident, name)), "")
    wanted = (*first, "classification", "states_affected", *([since] if since else ()), "outlook")
    add_facts(tx, made, incident, wanted, info_category=_category(work.spec), author=work.run.started_by)


def _written(tx: Session, work: Begun, incident: Incident, said: str, marking: Marking) -> ItemVersion:
    _marking, originator_id, source_id = as_the_incident(incident)
    return write_item(
        tx, kind=KIND, content=said, marking=marking, info_category=_category(work.spec), author=work.run.started_by,
        incident=incident, originator_id=originator_id, source_id=source_id,
    )  # fmt: skip


def _filled(template: str, fillings: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda found: fillings.get(found[1], ""), template)


def _asked(spec: Mapping[str, Any]) -> str:
    return (spec.get("ack") or {}).get("by", "")


def _category(spec: Mapping[str, Any]) -> str:
    return spec.get("category") or CATEGORY


def _kind(spec: Mapping[str, Any]) -> str:
    return KINDS[spec["message"]]
