"""Files of a random world that are released: words in their names, in their properties and in what they show."""

from __future__ import annotations

from typing import Any

from coordinator.incidents.models import Incident
from coordinator.incidents.references import parse_reference
from tests.files import jpeg
from tests.harness.processes import wait_for
from tests.leaving import put_file


def release_files(built: Any, *, case: str) -> None:
    """A photograph and a text of our own go to one partner: their names and what the photograph says of itself stay
    here, what the text says leaves."""
    reference, word = built.references[list(built.model.cases).index(case)], built.model.word
    path, who, first = f"/incidents/{reference}", "coordinator-0", len(built.model.words)
    shown = word("text of an enclosed file", "alert", case=case)
    author = word("author of an enclosed photograph", "case", case=case)
    bodies = {
        word("name of an enclosed photograph", "case", case=case) + ".jpg": jpeg(author),
        word("name of an enclosed text", "case", case=case) + ".txt": shown.encode(),
    }
    with built.machine.store.unit_of_work() as tx:
        incident = tx.get_one(Incident, parse_reference(reference))
        for name, body in bodies.items():
            put_file(tx, incident, body, name=name, tlp="GREEN")
    for file in built.api(who, "GET", f"{path}/files")["items"]:
        built.api(who, "POST", f"/attachments/{file['attachment']}/copy")
    wait_for(lambda: not built.rows("SELECT 1 FROM file_copies WHERE state <> 'cleaned'"), what="the copies")
    files = [one["id"] for one in built.api(who, "GET", f"{path}/files")["items"]]
    release = built.api(who, "POST", f"{path}/releases", {
        "kind": "initial", "title": word("title of a release with files", "alert", case=case), "tlp": "GREEN",
        "body": word("body of a release with files", "alert", case=case), "purpose": "network-defence",
        "items": files, "enclosed": files,
    })["id"]  # fmt: skip
    for number, one in enumerate(built.model.words):
        if number >= first and one.area == "alert":
            built.model.words[number] = type(one)(**vars(one) | {"release": release})
    to = [one.code for one in built.partners]
    built.api(who, "POST", f"{path}/releases/{release}/submit", {"recipients": to})
