"""Putting the HTML door into an application: cookies, forms' protection, language, templates, all pages."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, request, session
from flask_babel import Babel, get_locale, gettext
from flask_wtf.csrf import CSRFError, CSRFProtect

from coordinator.errors import NotParseable
from coordinator.sharing.wording import explain
from coordinator.store import Store
from coordinator.web import (
    access,
    account,
    acknowledge,
    agreements,
    alerts,
    board,
    catalogue,
    changes,
    clearances,
    consents,
    desk_calls,
    dry_run,
    endpoints,
    exercises,
    formats,
    handles,
    http_hosts,
    incidents,
    keys,
    labels,
    ledger,
    live,
    markings,
    obligations,
    operations,
    pages,
    partners,
    passkeys,
    playbooks,
    public,
    quarantine,
    record,
    release_files,
    released,
    releases,
    reports,
    sending,
    sign_in,
    site,
    sources,
    standing,
    tasks,
    users,
    words,
)
from coordinator.web.pulse import EVERY, Pulse

BLUEPRINTS = (
    sending.pages, operations.pages,
    site.pages, sign_in.pages, account.pages, board.pages, reports.pages, incidents.pages, alerts.pages, tasks.pages,
    consents.pages, labels.pages, markings.pages, public.pages,
    desk_calls.pages, clearances.pages, standing.pages, ledger.pages, released.pages, changes.pages, partners.pages,
    endpoints.pages, agreements.pages, playbooks.pages, users.pages, record.pages, acknowledge.pages,
    live.pages, passkeys.pages, sources.pages, quarantine.pages, keys.pages, exercises.pages,
    catalogue.pages, dry_run.pages, releases.pages, release_files.pages, obligations.pages, http_hosts.pages,
)  # fmt: skip
SESSION_SECONDS = 12 * 3600

_csrf = CSRFProtect()
_EXPIRED = (
    "This form was open for too long, or you signed in again meanwhile. Go back, load the page anew and send it again."
)


def install(app: Flask, store: Store) -> None:
    """Mount every page on `app`. Secret key, headers for all answers and error handlers are the application's."""
    app.extensions["coordinator"] = store
    app.extensions["pulse"] = Pulse()
    _cookies(app, secure=store.settings.https)
    app.config.setdefault("LIVE_EVERY", EVERY)
    _csrf.init_app(app)
    Babel(app)
    _templates(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
        # After the page itself has said how large its form may be: looking for the token reads the form.
        app.before_request_funcs.setdefault(blueprint.name, []).append(_protect_form)
    app.register_error_handler(CSRFError, _form_expired)
    app.after_request(_vary)


def _cookies(app: Flask, *, secure: bool) -> None:
    """One cookie: a signed envelope round the session's random token. `__Host-` needs https, no domain and path /."""
    app.config.update(
        SESSION_COOKIE_NAME="__Host-coordinator" if secure else "coordinator",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        SESSION_REFRESH_EACH_REQUEST=False,
        # Only forms of these pages are checked, in `_protect_form`: the API has no cookie that could be misused.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=SESSION_SECONDS,
        # Our pages with tokens in their address send no referrer; the form's token is what counts.
        WTF_CSRF_SSL_STRICT=False,
    )


def _protect_form() -> None:
    view = request.endpoint or ""
    if request.method == "POST" and view not in acknowledge.WITHOUT_SESSION:
        _csrf.protect()
        access.take_code()


def _form_expired(error: CSRFError) -> Response:
    session.modified = True
    return pages.error_page(NotParseable(_EXPIRED))


def _vary(answer: Response) -> Response:
    if not answer.cache_control.public:  # the same for everybody, whoever is signed in
        answer.headers.add("Vary", "Cookie")
    return answer


def _templates(app: Flask) -> None:
    env = app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    env.filters.update(
        scope_choice=lambda code: (code, words.name("scope", code)),
        person_choice=lambda user: (user.id, user.name),
        reader_choice=lambda user: (user.id, f"{user.name} ({words.name('role', user.role)})"),
        spaced=lambda code: (code, code.replace("-", " ").capitalize()),
        level_choice=lambda pair: (pair[0], f"{pair[0]} {pair[1]}"),
        label_choice=lambda label: (label, f"TLP:{label}"),
        alert_kind_choice=lambda code: (code, words.name("alert-kind", code)),
        organisation_choice=lambda row: (row.code, f"{row.name} ({row.code})"),
        organisation_option=lambda row: (row.code, f"{row.name} ({row.code})", ""),
        answer_choice=lambda code: (code, words.state("answer", code)[0]),
        item_choice=_item_choice, consent_item=_consent_item,
        said_choice=lambda item: (item["item"], _item_choice(item)[1]),
        standing_choice=lambda one: (one["item"] or "incident", _standing_choice(one)),
        same=lambda code: (code, code),
        tri_choices=lambda table: [(code, name, "") for code, name in table.items()],
    )
    env.globals.update(
        moment=formats.moment, fidelity_text=formats.fidelity_text, day=formats.day, size=formats.size,
        capped=formats.capped, state_of=words.state, name_of=words.name, severity_name=words.severity, words=words,
        handle=handles.handle, direction=_direction, language=_language, explain=_explain,
        duration_words=formats.duration_words,
    )  # fmt: skip
    app.context_processor(pages.common)


def _standing_choice(one: dict[str, Any]) -> str:
    """Something that bears a label: what it is, its label, and which of its kind."""
    name = words.name("item-kind", one["kind"]) if one["item"] else gettext("The case itself")
    which = one["begins"] or one["item"]
    return f"{name}, TLP:{one['tlp']}" + (f": {which}" if which else "")


def _item_choice(item: dict[str, Any]) -> tuple[str, str]:
    """An item as something to tick: what it is, its label, whose it is, and how it begins."""
    content = item["content"]
    if isinstance(content, dict):  # what a report said besides: the kinds of indicators, or what they ask
        found = content.get("observables") or ()
        kinds = [str(each.get("type", "")) for each in found if isinstance(each, dict)]
        content = content.get("asks") or ", ".join(dict.fromkeys(kind for kind in kinds if kind))
    begins = content[:80] if isinstance(content, str) else ""
    whose = item["originator"] or gettext("ours")
    said = f"{words.name('item-kind', item['kind'])}, TLP:{item['tlp']}, {whose}"
    return str(item["id"]), f"{said}: {begins}" if begins else said


def _consent_item(item: dict[str, Any]) -> tuple[str, str]:
    kind = words.name("item-kind", item["kind"])
    return item["item"], f"{kind}, TLP:{item['tlp']}, {item['originator']} ({item['item']})"


def _explain(code: str) -> str:
    """A reason in words; a code of another policy version is shown as it is."""
    try:
        return explain(code)
    except KeyError:
        return code


def _language() -> str:
    return str(get_locale() or "en").replace("_", "-")


def _direction() -> str:
    locale = get_locale()
    return locale.text_direction if locale else "ltr"
