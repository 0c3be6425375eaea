"""What one recipient is given of one alert, as plain data: the only thing the outgoing formats are made from.

Built by inclusion from what was released to that recipient. Nothing of the incident beyond it is looked at, and where
the source is withheld it is not in here at all, so that no format can let it slip.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts.handing_out import left_at
from coordinator.alerts.letters import released_files
from coordinator.alerts.models import Alert
from coordinator.alerts.wording import KINDS
from coordinator.incidents.items import read_item
from coordinator.incidents.models import ItemVersion, Report, ReportBody
from coordinator.interchange.stix_markings import Marked, marking_of
from coordinator.markings import Marking, Tlp, parse_tlp
from coordinator.outside.strict_json import parse_json
from coordinator.partners.models import Organisation
from coordinator.partners.queries import own_organisation
from coordinator.sharing.composed import handling
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.models import Release, ReleaseItem, ShareDecision
from coordinator.sharing.rules import Decision
from coordinator.sharing.wording import explain
from coordinator.timeline.keys import unseal
from coordinator.vocabulary import PURPOSES

#: Kinds that tell of a case. The others are formalities: receipts, checks, requests to call.
CASE_KINDS = ("initial", "update", "correction", "closure", "recall")
NO_ATTRIBUTION = "O-NO-ATTRIBUTION"


@dataclass(frozen=True)
class Party:
    """An organisation as the recipient may know it."""

    code: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Enclosed:
    """A file that goes along: told of in every form, itself only taken where the recipient signs in (`url`,
    "" where it would name us as the source)."""

    name: str
    media_type: str
    size: int
    sha256: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Contents:
    """`key`: the alert's public id; `reference`: the case as this recipient knows it ("" where there is none).

    `sender` and `originator` are None where the source is withheld. `first_at`: when the first alert on this case left
    for this recipient; `left_at`: this one. `observables`: {type, value}. `objects`: STIX objects as they came in,
    each as it was. `binding`: the obligations as sentences.
    """

    key: str
    reference: str
    kind: str
    title: str
    body: str
    language: str
    marking: Marking
    tlp: Tlp
    recipient: Party
    sender: Party | None
    originator: Party | None
    purpose: str
    obligations: tuple[str, ...]
    binding: tuple[str, ...]
    handling: tuple[str, ...]
    left_at: datetime
    first_at: datetime
    noticed_at: str = ""
    states_affected: tuple[str, ...] = ()
    reply_by: datetime | None = None
    exercise: str = ""
    answers: str = ""
    observables: tuple[tuple[str, str], ...] = ()
    objects: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    files: tuple[Enclosed, ...] = ()

    @property
    def kind_name(self) -> str:
        return KINDS[self.kind]

    @property
    def tells_of_case(self) -> bool:
        return self.kind in CASE_KINDS and bool(self.reference)


def contents_of(tx: Session, alert: Alert, decision: ShareDecision | Decision) -> Contents:
    """What this alert gives its recipient under this permit. Raises Erased where its text was erased."""
    release = tx.get_one(Release, alert.release_id)
    title, body = text_of(tx, release)
    marking = Marking.from_json(release.marking)
    named = NO_ATTRIBUTION not in decision.obligations
    tlp = max(marking.effective, parse_tlp(decision.effective_tlp))
    observables, objects = _enclosed(tx, release, named=named, marking=replace(marking, tlp=tlp))
    at = left_at(tx, alert) or clock.now()
    return Contents(
        key=alert.public_id, reference=alert.partner_reference, kind=alert.kind, title=title, body=body,
        language=release.language, marking=marking, tlp=tlp,
        recipient=_party(tx.get_one(Organisation, alert.organisation_id)),
        sender=_party(own_organisation(tx)) if named else None, originator=_originator(tx, release) if named else None,
        purpose=PURPOSES.label(release.purpose) if release.purpose in PURPOSES else release.purpose,
        obligations=tuple(decision.obligations), binding=tuple(explain(code) for code in decision.obligations),
        handling=tuple(handling(marking)), left_at=at, first_at=min(at, _first(tx, alert) or at),
        noticed_at=release.facts.get("noticed_at") or "",
        states_affected=tuple(release.facts.get("states_affected") or ()), reply_by=release.reply_by,
        exercise=alert.exercise, answers=_answered(tx, alert), observables=observables, objects=objects,
        files=_files(tx, alert, named=named),
    )  # fmt: skip


def _files(tx: Session, alert: Alert, *, named: bool) -> tuple[Enclosed, ...]:
    return tuple(
        Enclosed(name=file.name, media_type=file.media_type, size=file.size, sha256=file.sha256,
                 url=url if named else "")
        for file, url in released_files(tx, alert)
    )


def _party(organisation: Organisation) -> Party:
    return Party(organisation.code, organisation.name)


def _originator(tx: Session, release: Release) -> Party:
    if release.originator_id is None:
        return _party(own_organisation(tx))
    return _party(tx.get_one(Organisation, release.originator_id))


def _answered(tx: Session, alert: Alert) -> str:
    return tx.get_one(Alert, alert.in_reply_to_id).public_id if alert.in_reply_to_id is not None else ""


def _first(tx: Session, alert: Alert) -> datetime | None:
    """When the first alert on the same case left for the same recipient."""
    if not alert.partner_reference:
        return None
    query = select(Alert).where(
        Alert.organisation_id == alert.organisation_id, Alert.partner_reference == alert.partner_reference,
        Alert.user_id.is_(None), Alert.kind.in_(CASE_KINDS),
    )  # fmt: skip
    times = [left_at(tx, each) for each in tx.execute(query).scalars()]
    return min((at for at in times if at is not None), default=None)


# ---------------------------------------------------------------- what goes along whole


def _enclosed(
    tx: Session, release: Release, *, named: bool, marking: Marking
) -> tuple[tuple[tuple[str, str], ...], tuple[dict[str, Any], ...]]:
    """(observables, STIX objects as they came) of the parts that go along.

    Objects of another's bundle bear their author in ids and references, and their own markings. So none goes out where
    the source is withheld, or where the release is bound more strictly than the bundle was, by its label or otherwise;
    what can be looked for in them does, under the markings of the release.
    """
    query = (
        select(ItemVersion)
        .join(ReleaseItem, ReleaseItem.item_version_id == ItemVersion.id)
        .where(ReleaseItem.release_id == release.id, ReleaseItem.enclosed)
        .order_by(ItemVersion.id)
    )
    observables: dict[tuple[str, str], None] = {}
    objects: list[dict[str, Any]] = []
    for version in tx.execute(query).scalars():
        came = _as_it_came(tx, version) if named else []
        came = came if came and _binds(marking_of(came), marking) else []
        objects += came
        if not came:
            observables |= dict.fromkeys(_observables(read_item(tx, version)))
    return tuple(observables), tuple(objects)


def _binds(came: Marked, marking: Marking) -> bool:
    return came.tlp >= marking.effective and came.says(marking)


def _observables(content: Any) -> list[tuple[str, str]]:
    listed = content.get("observables") if isinstance(content, dict) else None
    return [(str(one["type"]), str(one["value"])) for one in listed or ()]


def _as_it_came(tx: Session, version: ItemVersion) -> list[dict[str, Any]]:
    """The objects of the STIX bundle this item was read from, unchanged; none where it came in another form."""
    if version.report_id is None or version.kind != "details":
        return []
    query = select(Report, ReportBody.sealed).join(ReportBody, ReportBody.report_id == Report.id)
    found = tx.execute(query.where(Report.id == version.report_id, Report.format == "stix")).one_or_none()
    if found is None:
        return []
    raw = unseal(tx, found.Report.data_key_id, found.sealed, about=f"report/{found.Report.public_id}")
    return list(parse_json(raw)["objects"])
