"""What was released, in the form its recipient asked for.

Everything that goes out by these ways goes through `hand_out`: a recorded permit, the contents by inclusion, a line on
record and in the ledger. Rendering comes after, from those contents alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.alerts import handing_out
from coordinator.alerts.models import Alert
from coordinator.alerts.released import released_alert
from coordinator.errors import Fault, Gone, Invalid, Refused
from coordinator.incidents.queries import get_visible
from coordinator.interchange import misp_out, page_out, stix_out
from coordinator.interchange.contents import CASE_KINDS, Contents, contents_of
from coordinator.partners.models import Organisation
from coordinator.timeline.keys import Erased


class NotGiven(Gone):
    """It was released once, and is not given out now. The reader learns no reason: it may tell of others."""

    title = "This is not given out at present"


@dataclass(frozen=True, kw_only=True)
class Form:
    """How something is written: the ending of its file's name, its media type, and what writes it."""

    ending: str
    media_type: str
    write: Callable[..., bytes]


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as it is sent. Its name holds what the recipient knows anyway."""

    name: str
    media_type: str
    body: bytes


def _as_json(*several: Contents) -> bytes:
    said = [_plain(contents) for contents in several]
    return json.dumps(said[0] if len(said) == 1 else {"items": said}, ensure_ascii=False, indent=2).encode(
        "utf-8", "replace"
    )


FORMS: dict[str, Form] = {
    "stix": Form(ending="stix.json", media_type=stix_out.MEDIA_TYPE, write=stix_out.write),
    "misp": Form(ending="misp.json", media_type=misp_out.MEDIA_TYPE, write=misp_out.write),
    "pdf": Form(ending="pdf", media_type=page_out.MEDIA_TYPE, write=page_out.write),
    "json": Form(ending="json", media_type="application/json", write=_as_json),
}


def check_form(name: str) -> str:
    """Raises Invalid for a form that is none."""
    if name not in FORMS:
        raise Invalid([Fault("/as", f"Choose one of: {', '.join(FORMS)}.")])
    return name


def take(tx: Session, public_id: str, *, reader: Principal, form: str, way: str) -> Contents:
    """An alert released to the reader's organisation, to be written as a file. `way`: page, api.

    Raises NotFound (the same for none and another's), NotGiven, Invalid, Refused (this form cannot bear the label).
    """
    check_form(form)
    alert = released_alert(tx, public_id, reader=reader)
    email = tx.get_one(User, reader.user_id).email
    given = hand_out(tx, alert, reader=reader, form=form, way=way, person=email)
    if given is None:
        raise NotGiven("What you have of it stays bound as it was. Call our duty desk and give the reference.")
    return given


def export(tx: Session, *, incident: str, partner: str, principal: Principal, form: str) -> list[Contents]:
    """Everything on this incident (our reference) that was released to this partner and may be given now, oldest first,
    to be handed on by an officer. Nothing RED: that goes to a named person only.

    Raises NotFound (also without need to know), Invalid, and Refused where there is nothing to give.
    """
    check_form(form)
    about = get_visible(tx, incident, principal=principal)
    query = (
        select(Alert)
        .join(Organisation, Organisation.id == Alert.organisation_id)
        .where(Alert.incident_id == about.id, Organisation.code == partner, Alert.user_id.is_(None),
               Alert.kind.in_(CASE_KINDS))
        .order_by(Alert.id)
    )  # fmt: skip
    alerts = tx.execute(query).scalars().all()
    given = [hand_out(tx, each, reader=principal, form=form, way="officer") for each in alerts]
    found = [each for each in given if each is not None]
    if not found:
        raise Refused("Nothing on this incident may be given to this partner now: release something to them first.")
    return found


def render(form: str, *several: Contents, data_dir: Path) -> File:
    """The file for the recipient of these contents. Outside any transaction: it may take a while.

    `data_dir`: where the operator may have laid fonts.
    """
    made = FORMS[check_form(form)]
    more = {"fonts": page_out.fonts_in(data_dir)} if form == "pdf" else {}
    name = several[0].reference or several[0].key
    return File(
        name=f"{several[0].tlp.label.replace(':', '-')}_{name}.{made.ending}", media_type=made.media_type,
        body=made.write(*several, **more),
    )  # fmt: skip


def hand_out(
    tx: Session, alert: Alert, *, reader: Principal, form: str, way: str, person: str = ""
) -> Contents | None:
    """The contents under a permit of now, noted as handed out; None where nothing may be given. Raises Refused where
    this form cannot bear the label."""
    decision = handing_out.permit(tx, alert, person=person)
    if decision is None:
        return None
    if form == "misp":
        misp_out.refuse_red(decision.effective_tlp)
    try:
        handing_out.note(tx, alert, decision, principal=reader, way=way, format=form)
        return contents_of(tx, alert, decision)
    except Erased:
        return None


def _plain(contents: Contents) -> dict[str, Any]:
    """The same as the event a partner's system is sent, where it says the same."""
    own = contents.sender
    said: dict[str, Any] = {
        "alert": contents.key, "reference": contents.reference or None, "kind": contents.kind,
        "in_reply_to": contents.answers or None, "title": contents.title, "body": contents.body,
        "tlp": contents.tlp.value, "pap": contents.marking.pap.value if contents.marking.pap else None,
        "purpose": contents.purpose, "handling": list(contents.obligations), "binding": list(contents.binding),
        "caveats": list(contents.handling), "recipient": contents.recipient.code, "sender": own.code if own else None,
        "originator": contents.originator.code if contents.originator else None,
        "released_at": clock.rfc3339(contents.left_at), "noticed_at": contents.noticed_at or None,
        "states_affected": list(contents.states_affected) or None, "language": contents.language,
        "reply_by": clock.rfc3339(contents.reply_by) if contents.reply_by else None,
        "exercise": contents.exercise or None,
        "observables": [{"type": kind, "value": value} for kind, value in contents.observables] or None,
        "stix_objects": list(contents.objects) or None,
        "files": [{"name": each.name, "media_type": each.media_type, "size": each.size, "sha256": each.sha256,
                   **({"url": each.url} if each.url else {})} for each in contents.files] or None,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}



