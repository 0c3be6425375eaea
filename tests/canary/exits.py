"""The list of exits: where what was said may come out, and to whom. A new one has to be written down here.

`tests/flows/test_canary.py` walks every route and fails where content comes out at one that is not in these lists;
`tests/coordinator/test_every_exit.py` puts the same decision to each exit to partners and wants the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coordinator.interchange.exits import FORMS

#: How an exit reaches a partner. What is pushed, or lies behind a link, is read by whoever holds it: up to GREEN.
PUSHED, LINK, SIGNED_IN = "pushed", "link", "signed in"


@dataclass(frozen=True)
class Exit:
    """`route`: the endpoint, "" where no route shows it. `look(scene)`: everything that comes out there for the partner
    as text; `scene` is the one of tests/coordinator/test_every_exit.py."""

    how: str
    look: Callable[[Any], str]
    route: str = ""


EXITS: dict[str, Exit] = {
    "mail": Exit(PUSHED, lambda scene: scene.mails()),
    "webhook": Exit(PUSHED, lambda scene: scene.webhooks()),
    "link": Exit(LINK, lambda scene: scene.behind_link(None), "acknowledge.show"),
    "link, signed in": Exit(SIGNED_IN, lambda scene: scene.behind_link(scene.reader), "acknowledge.show"),
    "list": Exit(SIGNED_IN, lambda scene: scene.page("/released"), "released.listed"),
    "page": Exit(SIGNED_IN, lambda scene: scene.page(f"/released/{scene.public_id()}"), "released.one"),
    "search": Exit(SIGNED_IN, lambda scene: scene.page(f"/released?q={scene.word[:-2]}"), "released.listed"),
    "tool, list": Exit(SIGNED_IN, lambda scene: scene.tool("/released"), "api.released.listed"),
    "tool, one": Exit(SIGNED_IN, lambda scene: scene.tool(f"/released/{scene.public_id()}"), "api.released.one"),
    "tool, search": Exit(SIGNED_IN, lambda scene: scene.tool(f"/released?q={scene.word[:-2]}"), "api.released.listed"),
    **{
        f"file as {form}": Exit(SIGNED_IN, lambda scene, form=form: scene.file(form), "api.exits.taken")
        for form in FORMS
    },
    "page, file": Exit(SIGNED_IN, lambda scene: scene.page(f"/released/{scene.public_id()}/file?as=json"),
                       "released.file"),
    "page, enclosed file": Exit(SIGNED_IN, lambda scene: scene.page(f"/released/{scene.public_id()}/files/1"),
                                "released.enclosed"),
    "tool, enclosed file": Exit(SIGNED_IN, lambda scene: scene.tool(f"/released/{scene.public_id()}/files/1"),
                                "api.files.taken"),
    "TAXII, objects": Exit(SIGNED_IN, lambda scene: scene.collected("objects/"), "taxii.objects"),
    "TAXII, one object": Exit(SIGNED_IN, lambda scene: scene.collected_one(), "taxii.one_object"),
}  # fmt: skip

#: Routes at which our own people come across what was said. Each looks at need-to-know; the walk checks it.
OURS = frozenset({
    "markings.form", "release_files.look", "api.files.listed", "api.files.look",
    "api.releases.listed", "api.releases.one", "releases.write", "api.runs.one", "releases.listed", "playbooks.newer",
    "releases.one", "api.releases.recipients", "consents.listed", "consents.one", "consents.write",
    "api.consent-requests.listed", "api.consent-requests.one", "api.obligations.of_incident", "api.obligations.one",
    "api.obligations.assessed", "obligations.one", "obligations.start", "obligations.accept",
    "acknowledge.show", "agreements.one", "alerts.one", "alerts.write", "api.agreements.one", "api.endpoints.reports",
    "api.incidents.alerts", "api.incidents.attachments", "api.incidents.decisions", "api.incidents.download",
    "api.incidents.items", "api.incidents.links", "api.incidents.listed", "api.incidents.one",
    "api.incidents.reports", "api.incidents.tasks", "api.incidents.timeline", "api.ledger.listed",
    "api.quarantine.listed", "api.quarantine.one", "api.work.clearances", "api.work.my_tasks",
    "api.work.one_decision", "api.work.one_task",
    "board.board", "clearances.one", "clearances.waiting", "desk_calls.ask",
    "incidents.as_it_stood", "incidents.ask_status", "incidents.download", "incidents.edit", "incidents.incident",
    "incidents.timeline", "keys.reports", "labels.listed",
    "ledger.listed", "playbooks.choose", "playbooks.run", "quarantine.listed", "quarantine.one", "reports.form",
    "reports.sent", "sources.facts", "tasks.mine", "tasks.task", "users.leave",
})  # fmt: skip
