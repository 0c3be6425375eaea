"""Commands that keep the house standing: the hold on sending. `cli` adds them to its own."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from coordinator.errors import NoRight, NotFound
from coordinator.store import Store

Add = Callable[..., argparse.ArgumentParser]
Opened = Callable[[argparse.Namespace], AbstractContextManager[Store]]


def register(add: Add, opened: Opened, actor: Callable[[], str]) -> None:
    """Add our commands. `opened(arguments)` is the store of --data, `actor()` names whoever types."""
    command = add("sending stop", lambda each: _stop(each, opened, actor), "put all sending on hold")
    command.add_argument("--reason", required=True)
    command = add("sending resume", lambda each: _resume(each, opened), "lift every hold on sending, as a named person")
    command.add_argument("--by", required=True, metavar="EMAIL", help="a coordinator or release authority")
    command.add_argument("--reason", required=True)
    command.add_argument("--code", default="", help="of that person's authenticator; asked for if absent")
    add("sending status", lambda each: _status(each, opened), "say whether sending is on hold, and what waits")


def _stop(arguments: argparse.Namespace, opened: Opened, actor: Callable[[], str]) -> int:
    from coordinator.timeline import sending_hold

    with opened(arguments) as store, store.unit_of_work() as tx:
        sending_hold.begin(tx, sending_hold.EMERGENCY, actor=actor(), reason=arguments.reason)
    print("All sending is on hold.")
    return 0


def _resume(arguments: argparse.Namespace, opened: Opened) -> int:
    """A named person with a second factor: whoever has the shell is not enough."""
    from coordinator.accounts import factors, rules, service
    from coordinator.timeline import sending_hold

    code = arguments.code or (getpass.getpass("Code of your authenticator: ") if sys.stdin.isatty() else "")
    with opened(arguments) as store:
        with store.unit_of_work() as tx:
            user = service.find_user(tx, arguments.by)
            may = user is not None and rules.may(rules.Role(user.role), rules.Right.RESUME_SENDING)
            proven = user is not None and may and factors.prove_code(tx, user, code)
        if user is None or not proven:  # after the commit: a wrong code was counted
            raise NoRight("A coordinator or release authority lifts a hold, with the code of the second factor.")
        with store.unit_of_work() as tx:
            holds = sending_hold.open_holds(tx)
            if not holds:
                raise NotFound("Nothing is on hold.")
            for hold in holds:
                sending_hold.lift(tx, hold.id, actor=f"user:{user.id}", reason=arguments.reason)
    print("Sending goes on.")
    return 0


def _status(arguments: argparse.Namespace, opened: Opened) -> int:
    from coordinator import clock
    from coordinator.alerts.queries import waiting_to_be_sent
    from coordinator.timeline import sending_hold

    with opened(arguments) as store, store.read() as tx:
        holds, waiting = sending_hold.open_holds(tx), waiting_to_be_sent(tx)
    for hold in holds:
        print(f"On hold ({hold.kind}) since {clock.rfc3339(hold.begun_at)} by {hold.begun_by}.")
    print(f"{'Sending is on hold' if holds else 'Sending goes on'}; {waiting} wait to be sent.")
    return 0
