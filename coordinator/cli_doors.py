"""Commands for the doors: keys of partners' endpoints, and the register of exercises. `cli` adds them to its own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager

from coordinator import clock
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.store import Store

Add = Callable[..., argparse.ArgumentParser]
Opened = Callable[[argparse.Namespace], AbstractContextManager[Store]]


def register(add: Add, opened: Opened, actor: Callable[[], str]) -> None:
    """Add our commands. `opened(arguments)` is the store of --data, `actor()` names whoever types."""
    add("endpoint keys", lambda each: _keys(each, opened), "list the keys of an endpoint").add_argument("endpoint")
    command = add("endpoint rotate", lambda each: _rotate(each, opened, actor), "make a new secret and print it once")
    command.add_argument("endpoint")
    command.add_argument("--overlap-days", type=int, default=7, help="how long the secret before goes on (1 to 90)")
    command.add_argument("--reason", default="")
    command = add("endpoint revoke", lambda each: _revoke(each, opened, actor), "stop a key at once")
    command.add_argument("key", type=int, help="its number, as `endpoint keys` lists it")
    command.add_argument("--reason", required=True)
    command = add("exercise put", lambda each: _put(each, opened, actor), "register an exercise, or change one")
    command.add_argument("code")
    command.add_argument("--title", required=True)
    command.add_argument("--starts", required=True, metavar="RFC3339")
    command.add_argument("--ends", required=True, metavar="RFC3339")
    command.add_argument("--with", dest="organisations", nargs="*", default=[], metavar="ORGANISATION")
    add("exercise end", lambda each: _end(each, opened, actor), "end an exercise now").add_argument("code")
    add("exercise list", lambda each: _list(each, opened), "list the exercises")


def _keys(arguments: argparse.Namespace, opened: Opened) -> int:
    from coordinator.partners import queries

    with opened(arguments) as store, store.read() as tx:
        endpoint = queries.endpoint_by_slug(tx, arguments.endpoint)
        for key in queries.keys_of(tx, endpoint.id):
            until = f" until {clock.rfc3339(key.not_after)}" if key.not_after else ""
            print(f"{key.id} {queries.state_of(key)}{until}, made {clock.rfc3339(key.created_at)}")
    return 0


def _rotate(arguments: argparse.Namespace, opened: Opened, actor: Callable[[], str]) -> int:
    from coordinator.changes import service as changes
    from coordinator.changes.rules import Kind
    from coordinator.partners.signing import generate_secret

    if not 1 <= arguments.overlap_days <= 90:
        raise Invalid([Fault("/overlap-days", "Choose 1 to 90 days. To stop a key at once, revoke it.")])
    secret = generate_secret()
    with opened(arguments) as store, store.unit_of_work() as tx:
        wanted = {"endpoint": arguments.endpoint, "secret": secret, "overlap_days": arguments.overlap_days}
        asked = changes.ask(tx, Kind.KEY, wanted, actor=actor(), reason=arguments.reason)
    print(asked.line)
    print(secret)
    return 0


def _revoke(arguments: argparse.Namespace, opened: Opened, actor: Callable[[], str]) -> int:
    from coordinator.partners import service

    if not arguments.reason.strip():
        raise Invalid([Fault("/reason", "Say why.")])
    with opened(arguments) as store, store.unit_of_work() as tx:
        service.revoke_key(tx, arguments.key, actor=actor(), reason=arguments.reason.strip())
    print(f"key {arguments.key}: revoked. Nothing signed with it is taken any more.")
    return 0


def _put(arguments: argparse.Namespace, opened: Opened, actor: Callable[[], str]) -> int:
    from coordinator.outside.faults import load
    from coordinator.partners import exercises
    from coordinator.partners.schema import ExerciseSchema

    wanted = load(ExerciseSchema(), {
        "code": arguments.code, "title": arguments.title, "starts_at": arguments.starts, "ends_at": arguments.ends,
        "organisations": arguments.organisations,
    })  # fmt: skip
    with opened(arguments) as store, store.unit_of_work() as tx:
        exercises.put_exercise(tx, wanted, actor=actor())
    print(f"exercise {arguments.code}: registered")
    return 0


def _end(arguments: argparse.Namespace, opened: Opened, actor: Callable[[], str]) -> int:
    from coordinator.partners import exercises

    with opened(arguments) as store, store.unit_of_work() as tx:
        exercises.end_exercise(tx, arguments.code, actor=actor())
    print(f"exercise {arguments.code}: over. What still comes under its name is set aside.")
    return 0


def _list(arguments: argparse.Namespace, opened: Opened) -> int:
    from coordinator.partners import exercises

    with opened(arguments) as store, store.read() as tx:
        found = exercises.exercises(tx)
    if not found:
        raise NotFound("No exercise is registered.")
    for one in found:
        times = f"{clock.rfc3339(one['starts_at'])} to {clock.rfc3339(one['ends_at'])}"
        print(f"{one['code']} {one['state']}: {times}; {', '.join(one['organisations']) or 'nobody yet'}")
    return 0
