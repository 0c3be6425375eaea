"""Files of incidents that are released: put in as if a report had brought them, cleaned by the worker's own job."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import drafts
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert
from coordinator.cleaning.bounded import Outcome
from coordinator.incidents import attachments
from coordinator.incidents.items import NewItem, write_items
from coordinator.incidents.models import Attachment, Incident, Report
from coordinator.interchange import files_out
from coordinator.markings import Marking
from coordinator.sharing import copies
from coordinator.sharing.models import Release, ShareDecision
from coordinator.status import leaving_files
from coordinator.store import Store
from tests.alerting import due, put_incident
from tests.factories import PARTNER, World, person
from workers import deliver as worker
from workers.clean import clean_file


def put_file(
    tx: Session, incident: Incident, body: bytes, *, name: str = "Jane Doe.jpg", tlp: str = "GREEN",
    originator_id: int | None = None, no_attribution: bool = False,
) -> Attachment:  # fmt: skip
    """A file of this incident, marked and bound as the report that brought it."""
    sha256 = hashlib.sha256(body).hexdigest()
    report = Report(
        public_id=f"rep_{sha256[:20]}{incident.id}", received_at=clock.now(), via="web", message_id=sha256,
        raw_digest=sha256, raw_size=0, media_type="application/json", data_key_id=incident.data_key_id,
        status_hash=hashlib.sha256(f"{sha256}{incident.id}".encode()).hexdigest(), tlp=tlp, disposition="accepted",
        incident_id=incident.id, organisation_id=originator_id, exercise=incident.exercise,
    )  # fmt: skip
    tx.add(report)
    tx.flush()
    title = NewItem(
        kind="title", content="Report", marking=Marking(tlp=tlp, no_attribution=no_attribution),
        info_category="incident-notification", originator_id=originator_id,
    )  # fmt: skip
    write_items(tx, [title], author="user:1", incident=incident, report_id=report.id,
                data_key_id=incident.data_key_id)  # fmt: skip
    tx.add(Attachment(
        incident_id=incident.id, report_id=report.id, name=name, media_type="application/octet-stream", sha256=sha256,
        size=len(body), data_key_id=incident.data_key_id, exercise=incident.exercise,
    ))  # fmt: skip
    tx.flush()
    return attachments.store_for_report(tx, report.id, body=body, actor="user:1")


def cleaned(store: Store, attachment_id: int, *, principal: Principal) -> str:
    """Ask for a copy and make it; its state."""
    with store.unit_of_work() as tx:
        copy_id = copies.ask(tx, attachment_id, principal=principal).id
    clean_file(store, copy_id)
    with store.read() as tx:
        found = copies.copy_of(tx, attachment_id)
        assert found is not None
        return found.state


def put_cleaned(tx: Session, incident: Incident, body: str, **more: Any) -> int:
    """A text file of this incident with a copy that may leave, made without a child; its item version."""
    file = put_file(tx, incident, body.encode(), name="a.txt", **more)
    copy = copies.ask(tx, file.id, principal=Principal(0, "somebody", "auditor"))
    work = copies.begin(tx, copy.id, now=clock.now())
    assert isinstance(work, copies.Work) and file.item_version_id is not None
    made = Outcome(kind="text", body=work.body, media_type="text/plain", ending="txt", unchanged=True, bears_name=False)
    copies.settle(tx, copy.id, work.fence, made)
    return file.item_version_id


class Desk:
    """An incident of ours with files, an officer who drafts, and people of two partners who take what was released."""

    def __init__(self, store: Store, world: World, **more: Any) -> None:
        self.store, self.world = store, world
        self.officer = person(store, "coordinator", "Olev")
        self.second = person(store, "release-authority", "Rita")
        self.aino = person(store, "partner-user", "Aino", world.partner_id)
        self.liga = person(store, "partner-user", "Liga", world.other_id)
        with store.unit_of_work() as tx:
            self.incident_id = put_incident(tx, **more).id

    def file(self, body: bytes, **more: Any) -> int:
        """A file that is cleaned, or cannot be; its item version."""
        with self.store.unit_of_work() as tx:
            one = put_file(tx, tx.get_one(Incident, self.incident_id), body, **more)
            attachment, version = one.id, one.item_version_id
        cleaned(self.store, attachment, principal=self.officer)
        assert version is not None
        return version

    def draft(self, *versions: int, **more: Any) -> int:
        with self.store.unit_of_work() as tx:
            row = drafts.draft(
                tx, incident=tx.get_one(Incident, self.incident_id), principal=self.officer, kind="initial",
                title="Ransomware", body="See the files.", purpose="network-defence", items=versions,
                info_category="incident-notification", enclosed=versions, **more,
            )  # fmt: skip
            return row.id

    def submit(self, release_id: int, *codes: str) -> list[ShareDecision]:
        """Submit and send; the decisions that wait."""
        with self.store.unit_of_work() as tx:
            told = drafts.submit(tx, release_id, codes=codes or [PARTNER], principal=self.officer)
            waiting = list(told.referred)
            tx.flush()
            tx.expunge_all()
        self.send()
        return waiting

    def send(self) -> None:
        for decision_id in due(self.store, "decision.approved"):
            with self.store.unit_of_work() as tx:
                alerts.raise_approved(tx, decision_id)
        for delivery_id in due(self.store, "delivery.due"):
            worker.deliver(self.store, delivery_id)

    def take(self, reader: Principal | None = None, number: int = 1) -> Any:
        with self.store.unit_of_work() as tx:
            public_id = tx.execute(select(Alert.public_id).order_by(Alert.id)).scalars().first() or ""
            return files_out.take(tx, public_id, number, reader=reader or self.aino, way="page")

    def files(self, release_id: int) -> list[dict[str, Any]]:
        with self.store.read() as tx:
            return leaving_files.of_release(tx, tx.get_one(Release, release_id))
