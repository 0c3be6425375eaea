"""A site to attack: incidents with everything on them, people signed in, and every secret that must not leak."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from sqlalchemy import select, update

from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts.models import UserSession
from coordinator.alerts import rungs
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Organisation
from coordinator.runs.catalogue import ship_library
from coordinator.store import Store
from coordinator.tasks.service import open_task
from tests.alerting import put_contact, put_organisation, put_system, webhook
from tests.factories import World, native, person, signed, token_for

ROLES = ("coordinator", "duty-officer", "administrator", "partner-user", "agreement-manager", "exercise-controller")
CLEARING = "release-authority"
VISITOR = "visitor"  # nobody signed in; the address of an alert's page is known
FILE = b"%PDF-1.7 <html><script>alert(1)</script></html>"


class _FromHere(HTTPAdapter):
    """Comes from an address of its own, so that the limit on guesses of one address is not what answers."""

    def __init__(self, number: int) -> None:
        self._source = (f"127.0.{1 + number // 250}.{1 + number % 250}", 0)
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> Any:
        return super().init_poolmanager(*args, **more, source_address=self._source)


class Site:
    """`url` serves `store`. `secrets`: everything that proves who somebody is; it must turn up nowhere."""

    def __init__(self, url: str, store: Store, world: World) -> None:
        self.url, self.store, self.world = url, store, world
        self.closed: list[str] = []
        self._local, self._number, self._lock = threading.local(), 0, threading.Lock()
        self.api_tokens = {role: token_for(store, role) for role in (*ROLES, CLEARING)}
        with store.unit_of_work() as tx:
            put_organisation(tx, "XX-CSIRT")
            theirs = tx.execute(select(Organisation.id).where(Organisation.code == "XX-CSIRT")).scalar_one()
        self.api_tokens["partner-user"] = token_for(store, "partner-user", organisation_id=theirs)
        self.people = {
            role: person(store, role, name=f"Pat {role.title()}",
                         organisation_id=theirs if role == "partner-user" else None) for role in ROLES
        }  # fmt: skip
        self.spare = person(store, "analyst", name="Pat Spare").user_id
        self.secrets = {world.secret, *self.api_tokens.values()}
        self.cookies = {role: self._sign_in(role) for role in ROLES}
        self.known = self._furnish()

    def next(self) -> int:
        with self._lock:
            self._number += 1
            return self._number

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """One request; every few hundred come from another address."""
        number = self.next() // 300
        if getattr(self._local, "at", None) != number:
            self._connect(number)
        self._local.session.cookies.clear()
        how = {"timeout": 60, "allow_redirects": False, **more}
        try:
            return self._local.session.request(method, self.url + path, **how)
        except requests.ConnectionError:  # a kept connection that the server had closed meanwhile: clients ask again
            self.closed.append(f"{method} {path[:80]}")
            self._connect(number)
            return self._local.session.request(method, self.url + path, **how)

    def _connect(self, number: int) -> None:
        self._local.at, self._local.session = number, requests.Session()
        self._local.session.trust_env = False
        self._local.session.mount("http://", _FromHere(number))

    def as_role(self, role: str, method: str, path: str, **more: Any) -> requests.Response:
        """A request of somebody's browser."""
        return self.request(method, path, cookies=self.cookies.get(role), **more)

    def api(self, method: str, path: str, *, role: str = "coordinator", headers: Any = None, **more: Any) -> Any:
        """A request of somebody's tool."""
        bearer = {"Authorization": f"Bearer {self.api_tokens[role]}"}
        return self.request(method, f"/api/v1{path}", headers=bearer | (headers or {}), **more)

    def webhook(self, raw: bytes, content_type: str = "application/json") -> requests.Response:
        headers = signed(self.world.secret, raw, f"msg_{self.next()}", content_type=content_type)
        return self.request("POST", f"/api/v1/intake/{self.world.endpoint}", data=raw, headers=headers)

    def put_file(self, body: bytes, sha256: str) -> requests.Response:
        headers = signed(self.world.secret, body, f"file_{self.next()}", content_type="application/octet-stream")
        return self.request(
            "PUT", f"/api/v1/intake/{self.world.endpoint}/attachments/{sha256}", data=body, headers=headers
        )

    def confirm(self) -> None:
        """As if everybody had just given the second factor: there is no authenticator here."""
        with self.store.unit_of_work() as tx:
            ids = [principal.user_id for principal in self.people.values()]
            tx.execute(update(UserSession).where(UserSession.user_id.in_(ids)).values(second_factor_at=clock.now()))

    # ------------------------------------------------------------ what is there

    def _sign_in(self, role: str) -> dict[str, str]:
        with self.store.unit_of_work() as tx:
            token = accounts.create_link(tx, self.people[role].user_id, actor="cli:test")
        self.secrets.add(token)
        session = requests.Session()
        session.trust_env = False
        page = session.get(f"{self.url}/sign-in/{token}", timeout=60)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert found is not None, page.text[:500]
        session.post(f"{self.url}/sign-in/{token}", data={"csrf_token": found[1]}, timeout=60)
        cookies = dict(session.cookies)
        self.secrets |= set(cookies.values())
        self.confirm()
        return cookies

    def _furnish(self) -> dict[str, Any]:
        """Incidents, a task, an alert with its link, a file; by the names that addresses use."""
        with self.store.unit_of_work() as tx:
            ship_library(tx)
            put_system(tx, "https://partner.invalid/hook", code="XX-CSIRT", slug="xx-out")
            put_contact(tx, webhook("xx-out"), code="xx-duty", organisation="XX-CSIRT")
        digest = hashlib.sha256(FILE).hexdigest()
        file = {"name": "report.pdf", "media_type": "application/pdf", "sha256": digest, "size": len(FILE)}
        for number in range(3):
            report = native(title=f"Incident {number}", attachments=[file], noticed_at=f"2026-11-22T0{number}:10:00Z")
            assert self.webhook(json.dumps(report).encode()).status_code == 202
        assert self.put_file(FILE, digest).status_code in (200, 201)
        with self.store.unit_of_work() as tx:
            ids = tx.execute(select(Incident.id).order_by(Incident.id)).scalars().all()
            incident = lock_incident(tx, ids[0])
            task = open_task(tx, title="Ask", role="coordinator", created_by="system", incident=incident,
                             fields={"answer": {"label": "Answer", "type": "text"}})  # fmt: skip
            told = alerts.tell(
                tx, incident=None, kind="check", title="Check", body="A check.", purpose="network-defence",
                info_category="incident-notification", requested_by="user:1", audience={"organisations": ["XX-CSIRT"]},
                marking=Marking(tlp=Tlp.CLEAR),
            )  # fmt: skip
            alert = told.permitted[0].id if told.permitted else 0
            delivery = tx.execute(select(Delivery).where(Delivery.alert_id == alert)).scalars().first()
            link = rungs.ack_token(tx, delivery) if delivery is not None else "none"
            public = tx.execute(select(Alert.public_id).where(Alert.id == alert)).scalar_one()
            references = [reference_of(lock_incident(tx, each)) for each in ids]
            task_id = task.id
        self.secrets.add(link)
        return {
            "reference": references[0], "spare": references[1], "other": references[2], "task_id": task_id,
            "token": link, "alert_id": alert, "version_id": 1, "contact": "xx-duty",
            "endpoint_id": self.world.endpoint_id, "endpoint": self.world.endpoint, "sha256": digest, "number": task_id,
            "attachment_id": 1, "user_id": self.spare, "key": "none", "name": "app.css",
            "to": "rejected", "do": "pause", "run_id": 1, "decision_id": 1, "change_id": 1, "delivery_id": 1,
            "draft": "none", "report": "none", "public_id": public, "pending_id": 1, "code": "XX-CSIRT",
        }  # fmt: skip
