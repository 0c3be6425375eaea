"""The board: everything that is open, on one page. Filters stand in the address, so that a view can be sent on."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import get_locale

from coordinator import clock, vocabulary
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right
from coordinator.errors import Invalid
from coordinator.status import board as status
from coordinator.status import task_lists
from coordinator.status.board import Filters
from coordinator.web import access, live
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.pulse import LIVE_HEADER

pages = Blueprint("board", __name__)

ROWS = 30


@pages.get("/board")
@needs(Right.READ_INCIDENTS)
def board() -> Response:
    principal, filters = access.required(), filters_of(request.args)
    tag = live.board_tag(principal)  # before looking: what changes in between is asked for again
    again = _again(principal, filters, tag)
    if again is not None and (known := access.pulse().swaps.peek(again)) is not None:
        return page.fragment(known)
    with access.store().read() as tx:
        counted = access.pulse().counts.get(
            ("board", principal.user_id, filters.exercise),
            lambda: (
                status.counts(tx, principal=principal, exercise=filters.exercise),
                status.due_next(tx, principal=principal, exercise=filters.exercise),
                status.exercises(tx),
                task_lists.clearances_next(tx, principal=principal, exercise=filters.exercise),
            ),
        )
        try:
            shown = status.board(
                tx, principal=principal, filters=filters, cursor=request.args.get("cursor", ""), limit=ROWS
            )
        except Invalid:  # a cursor from another time: begin again
            shown = status.board(tx, principal=principal, filters=filters, limit=ROWS)
    counts, due, exercises, waiting = counted
    answer = page.show(
        "board/board.html" if again is None else "board/live.html",
        here="board", shown=shown, counts=counts, due=due, waiting=waiting, filters=filters, tag=tag,
        args=_kept(), most=status.MOST, exercises=exercises, exercise=filters.exercise, statuses=status.OPEN,
        severities=vocabulary.SEVERITIES.choices(), sectors=vocabulary.SECTORS.choices(),
        countries=vocabulary.COUNTRIES.choices(), narrowed=_narrowed(filters),
    )  # fmt: skip
    if again is not None:
        access.pulse().swaps.put(again, answer.get_data(as_text=True))
    return answer


def _again(principal: Principal, filters: Filters, tag: str) -> tuple[Any, ...] | None:
    """Under which name an open page's fetch after a change is remembered for a second; None for anything else.

    Whoever shares it sees the same incidents (`tag`), may do the same, and reads it in the same language and zone.
    """
    if LIVE_HEADER not in request.headers or filters.owner:
        return None
    asked = tuple(sorted(request.args.items(multi=True)))
    return live.about_board(principal), tag, principal.role, page.zone(), str(get_locale()), asked


def filters_of(args: Any) -> Filters:
    """Filters from an address. What is not understood is left out: an old bookmark still opens the board."""
    statuses = [code for code in args.getlist("status") if code in _STATUSES]
    severity, owner = args.get("severity", ""), args.get("owner", "")
    return Filters(
        statuses=() if "any" in args.getlist("status") else tuple(dict.fromkeys(statuses)),
        every_status="any" in args.getlist("status"),
        severity=int(severity) if severity in ("1", "2", "3", "4", "5") else None,
        owner=access.required().user_id if owner == "me" else 0 if owner == "none" else None,
        state=_known(args.get("state", ""), vocabulary.COUNTRIES),
        sector=_known(args.get("sector", ""), vocabulary.SECTORS),
        q=args.get("q", "").strip()[:200],
        updated_since=_instant(args.get("updated_since", "")),
        exercise=args.get("exercise", "")[:80],
    )


_STATUSES = ("reported", "triage", "active", "monitoring", "resolved", "closed", "rejected", "duplicate")


def _known(code: str, table: vocabulary.Vocabulary[str]) -> str:
    return code if code in table else ""


def _instant(text: str) -> Any:
    try:
        return clock.parse(text) if text else None
    except ValueError:
        return None


def _kept() -> dict[str, list[str]]:
    """The filters as they stand in the address, for the links to other pages of the list."""
    return {name: request.args.getlist(name) for name in request.args if name != "cursor"}


def _narrowed(filters: Filters) -> bool:
    return filters != Filters(exercise=filters.exercise)
