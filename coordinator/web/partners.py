"""The directory: organisations, their points of contact and how each is reached; listed, changed, verified."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, vocabulary
from coordinator.accounts.rules import Right
from coordinator.agreements import queries as agreements
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import Invalid, NotFound
from coordinator.outside.faults import load
from coordinator.partners import queries, service
from coordinator.partners.models import Contact, Organisation
from coordinator.partners.schema import HOURS, ContactSchema, OrganisationSchema
from coordinator.sharing.addressees import is_fresh
from coordinator.web import access, pgp_keys
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.endpoints import asks_in_words

pages = Blueprint("partners", __name__, url_prefix="/partners")

_ORGANISATION, _CONTACT = OrganisationSchema(), ContactSchema()


@pages.get("")
@needs(Right.READ_PARTNERS)
def listed() -> Response:
    now = clock.now()
    with access.store().read() as tx:
        contacts: dict[int, list[Contact]] = {}
        for row in queries.contacts(tx):
            contacts.setdefault(row.organisation_id, []).append(row)
        rows = [
            (row, len(contacts.get(row.id, ())), sum(_fresh(one, now) for one in contacts.get(row.id, ())))
            for row in queries.organisations(tx)
        ]
    return page.show("partners/list.html", here="partners", rows=rows)


@pages.get("/<code>")
@needs(Right.READ_PARTNERS)
def one(code: str) -> Response:
    now = clock.now()
    with access.store().read() as tx:
        row = _organisation(tx, code)
        endpoints = {each.id: each for each in queries.endpoints(tx, row.id)}
        contacts = [
            (each, [(channel, endpoints.get(channel.endpoint_id or 0)) for channel in queries.channels_of(tx, each.id)],
             _fresh(each, now))
            for each in queries.contacts(tx, row.id)
        ]  # fmt: skip
        keys = {each: queries.keys_of(tx, each) for each in endpoints}
        bound = [each for each in agreements.standing(tx, now) if code in each["parties"]]
    return page.show(
        "partners/one.html", here="partners", org=row, contacts=contacts, endpoints=endpoints.values(), keys=keys,
        agreements=bound, usable=queries.usable, values={}, errors={},
        key_of=pgp_keys.shown, asks=asks_in_words(),
    )  # fmt: skip


# ---------------------------------------------------------------- organisations


@pages.get("/new")
@needs(Right.MANAGE_PARTNERS, fresh=True)
def new() -> Response:
    return _organisation_form({}, {}, code="")


@pages.get("/<code>/edit")
@needs(Right.MANAGE_PARTNERS, fresh=True)
def edit(code: str) -> Response:
    with access.store().read() as tx:
        row = _organisation(tx, code)
    values = {
        "code": row.code, "name": row.name, "kind": row.kind, "country": row.country, "sectors": row.sectors,
        "communities": ", ".join(row.communities), "client_of_own": row.client_of_own,
    }  # fmt: skip
    return _organisation_form(values, {}, code=code)


@pages.post("/new", defaults={"code": ""})
@pages.post("/<code>/edit")
@needs(Right.MANAGE_PARTNERS, fresh=True)
def save(code: str) -> Any:
    form = request.form
    given = {
        "code": code or form.get("code", "").strip(), "name": form.get("name", "").strip(),
        "kind": form.get("kind", ""),
        "country": (page.country_codes(form.get("country", "")) or [""])[0], "sectors": form.getlist("sectors"),
        "communities": _words(form.get("communities", "")), "client_of_own": bool(form.get("client_of_own")),
    }  # fmt: skip
    try:
        wanted = load(_ORGANISATION, given)
        with access.store().unit_of_work() as tx:
            known = queries.organisation_by_code(tx, wanted["code"])
            wanted["own"] = bool(known and known.is_own)
            asked = changes.ask_organisation(
                tx, wanted, actor=access.required().actor, reason=form.get("reason", "").strip()
            )
            if asked.change is not None:
                return page.after("changes.one", page.waits(), change_id=asked.change.id)
    except Invalid as error:
        shown = given | {"communities": form.get("communities", ""), "country": form.get("country", "")}
        return _organisation_form(shown, page.errors_by_field(error), code=code, status=422)
    return page.after("partners.one", _("Saved."), code=wanted["code"])


def _organisation_form(values: dict[str, Any], errors: dict[str, str], *, code: str, status: int = 200) -> Response:
    return page.show(
        "partners/organisation.html", here="partners", values=values, errors=errors, org_code=code,
        kinds=vocabulary.ORGANISATION_KINDS.choices(), sectors=vocabulary.SECTORS.choices(),
        countries=vocabulary.COUNTRIES.choices(), code=status,
    )  # fmt: skip


# ---------------------------------------------------------------- points of contact


@pages.get("/<code>/contacts/new")
@needs(Right.MANAGE_PARTNERS, fresh=True)
def new_contact(code: str) -> Response:
    return _contact_form(code, {"time_zone": "UTC", "hours": "office", "order": 1, "tlp_max": "AMBER"}, {}, contact="")


@pages.get("/<code>/contacts/<contact>/edit")
@needs(Right.MANAGE_PARTNERS, fresh=True)
def edit_contact(code: str, contact: str) -> Response:
    with access.store().read() as tx:
        row = _contact(tx, code, contact)
        names = {each.id: each.slug for each in queries.endpoints(tx)}
        ways = queries.channels_of(tx, row.id)
        channels = [
            f"{each.kind} {names.get(each.endpoint_id or 0, '') or each.address or each.number}"
            for each in ways
        ]
        keys = [each.pgp_key for each in ways if each.pgp_key]
    values = {
        "code": row.code, "kind": row.kind, "function": row.function, "person_name": row.person_name,
        "person_email": row.person_email, "languages": ", ".join(row.languages), "time_zone": row.time_zone,
        "hours": row.hours, "order": row.position, "tlp_max": row.tlp_max, "channels": "\n".join(channels),
        "pgp_keys": "\n".join(keys),
    }  # fmt: skip
    return _contact_form(code, values, {}, contact=contact)


@pages.post("/<code>/contacts/new", defaults={"contact": ""})
@pages.post("/<code>/contacts/<contact>/edit")
@needs(Right.MANAGE_PARTNERS, fresh=True)
def save_contact(code: str, contact: str) -> Any:
    given = {name: text.strip() for name, text in request.form.items()}
    try:
        with access.store().unit_of_work() as tx:
            before = _contact(tx, code, contact) if contact else None
            data = _contact_data(tx, code, contact, given, before)
            asked = changes.ask(
                tx, Kind.CONTACT, load(_CONTACT, data), actor=access.required().actor, reason=given.get("reason", "")
            )
            if asked.change is not None:
                return page.after("changes.one", page.waits(), change_id=asked.change.id)
    except Invalid as error:
        errors = page.errors_by_field(error, field=_contact_field)
        return _contact_form(code, given, errors, contact=contact, status=422)
    return page.after("partners.one", _("Saved."), code=code)


@pages.post("/<code>/contacts/<contact>/verify")
@needs(Right.MANAGE_PARTNERS)
def verify(code: str, contact: str) -> Any:
    with access.store().unit_of_work() as tx:
        row = _contact(tx, code, contact)
        how = request.form.get("how", "").strip()[:300] or _("by hand")
        service.verify_contact(tx, row.id, actor=access.required().actor, how=how)
    return page.after("partners.one", _("The contact counts as verified now."), code=code)


def _contact_data(
    tx: Session, code: str, contact: str, given: dict[str, str], before: Contact | None
) -> dict[str, Any]:
    """The form as a contact of a world file."""
    had = {each.address: each.pgp_key for each in queries.channels_of(tx, before.id)} if before else {}
    keys = pgp_keys.paired(given.get("pgp_keys", ""), given.get("channels", ""), had)
    person = {"name": given.get("person_name", ""), "email": given.get("person_email", "")}
    return {
        "code": contact or given.get("code", ""), "organisation": code, "kind": given.get("kind", ""),
        "person": person if person["name"] else None, "function": given.get("function", ""),
        "languages": _words(given.get("languages", "")), "time_zone": given.get("time_zone", ""),
        "hours": given.get("hours", ""), "tlp_max": given.get("tlp_max", ""),
        "order": int(given["order"]) if given.get("order", "").isdecimal() else given.get("order", ""),
        "verified_on": clock.rfc3339(before.verified_on) if before and before.verified_on else None,
        "channels": [_channel(line, keys) for line in given.get("channels", "").splitlines() if line.strip()],
    }  # fmt: skip


_CHANNEL_FIELD = {"webhook": "endpoint", "email": "address", "voice": "number", "courier": "place"}


def _channel(line: str, keys: dict[str, str]) -> dict[str, str]:
    kind, _sep, value = line.strip().partition(" ")
    kind, value = kind.lower(), value.strip()
    said = {"kind": kind, _CHANNEL_FIELD.get(kind, "address"): value}
    return said | ({"pgp_key": keys[value]} if kind == "email" and keys.get(value) else {})


def _contact_field(pointer: str) -> str:
    parts = pointer.strip("/").split("/")
    return f"person_{parts[1]}" if parts[0] == "person" and len(parts) > 1 else parts[0]


def _contact_form(
    code: str, values: dict[str, Any], errors: dict[str, str], *, contact: str, status: int = 200
) -> Response:
    with access.store().read() as tx:
        row = _organisation(tx, code)
        endpoints = [each.slug for each in queries.endpoints(tx, row.id) if each.direction == "out"]
    return page.show(
        "partners/contact.html", here="partners", org=row, contact=contact, values=values, errors=errors, code=status,
        kinds=vocabulary.CONTACT_KINDS.choices(), hours=HOURS, endpoints=endpoints,
    )  # fmt: skip


def _organisation(tx: Session, code: str) -> Organisation:
    row = queries.organisation_by_code(tx, code)
    if row is None:
        raise NotFound()
    return row


def _contact(tx: Session, code: str, contact: str) -> Contact:
    query = select(Contact).join(Organisation, Organisation.id == Contact.organisation_id)
    row = tx.execute(query.where(Organisation.code == code, Contact.code == contact)).scalar_one_or_none()
    if row is None:
        raise NotFound()
    return row


def _fresh(row: Contact, now: Any) -> bool:
    return is_fresh(row.verified_on, row.suspect_since, now)


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]
