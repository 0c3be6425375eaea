"""The read-only TAXII collections, read by a real client from a real server, on both databases."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from taxii2client.exceptions import AccessError
from taxii2client.v21 import ApiRoot, Server, as_pages
from werkzeug.serving import make_server

from coordinator import clock
from coordinator.accounts.service import create_token
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, CollectionObject, Handout
from coordinator.app import Application
from coordinator.markings import Marking
from coordinator.sharing.approvals import approve
from coordinator.store import Store
from tests.alerting import agreement, mailbox, phone, put_contact, put_incident
from tests.factories import OTHER, PARTNER, World, person, token_for, user_row
from tests.handing import told, two_partners

TAXII = "application/taxii+json;version=2.1"
ROOT = "/taxii2/released/collections/"


@pytest.fixture
def desk(store: Store, world: World) -> Iterator[Store]:
    with two_partners(store):
        yield store


def token(store: Store, name: str, organisation_id: int) -> str:
    user = person(store, "partner-user", name, organisation_id=organisation_id)
    with store.unit_of_work() as tx:
        return create_token(tx, user.user_id, name="taxii", scopes=["read"], actor="cli:test")


@pytest.fixture
def aino(desk: Store, world: World) -> str:
    return token(desk, "Aino", world.partner_id)


@pytest.fixture
def served(desk: Store, app: Application) -> Iterator[str]:
    """The door on a free port of this machine. It says https of itself, as behind a proxy, until a client asks."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def get(client: Any, path: str, secret: str, **more: Any) -> Any:
    return client.get(path, headers={"Authorization": f"Bearer {secret}", "Accept": TAXII}, **more)


def mine(client: Any, secret: str) -> str:
    return ROOT + get(client, ROOT, secret).get_json(force=True)["collections"][0]["id"] + "/"


def test_a_real_client_finds_its_way_from_the_server_to_the_objects(desk: Store, served: str, aino: str) -> None:
    told(desk, PARTNER, title="First")
    told(desk, PARTNER, title="Second", tlp="GREEN")
    told(desk, OTHER, title="Not yours", tlp="GREEN")
    # What is decided turns on https; where the client is led has to be where this server listens.
    desk.settings = replace(desk.settings, base_url=served)
    server = Server(f"{served}/taxii2/", user="any", password=aino)
    roots = [root.url for root in server.api_roots]
    desk.settings = replace(desk.settings, base_url="https://us.example")
    assert roots == [f"{served}/taxii2/released/"]
    [collection] = ApiRoot(roots[0], user="any", password=aino).collections
    assert (collection.can_read, collection.can_write) == (True, False)
    assert UUID(collection.id).version == 4
    envelope = collection.get_objects()
    names = [one["name"] for one in envelope["objects"] if one["type"] == "incident"]
    assert names == ["First", "Second"] and not envelope["more"]
    assert "Not yours" not in str(envelope)
    paged = [one for page in as_pages(collection.get_objects, per_request=3) for one in page.get("objects", [])]
    assert [one["id"] for one in paged] == [one["id"] for one in envelope["objects"]]
    manifest = collection.get_manifest()
    assert [one["id"] for one in manifest["objects"]] == [one["id"] for one in envelope["objects"]]
    half = manifest["objects"][4]["date_added"]
    rest = collection.get_objects(added_after=half)
    assert [one["id"] for one in rest["objects"]] == [one["id"] for one in envelope["objects"]][5:]
    incident = next(one for one in envelope["objects"] if one["type"] == "incident")
    assert collection.get_object(incident["id"])["objects"] == [incident]
    assert collection.object_versions(incident["id"])["versions"] == [incident["modified"]]
    assert [one["type"] for one in collection.get_objects(type=["report"])["objects"]] == ["report", "report"]
    with pytest.raises(AccessError):  # the client itself sees that it may not write
        collection.add_objects({"objects": []})
    with desk.read() as tx:
        taken = list(tx.execute(select(Handout.way, Handout.format)))
        assert [tuple(one) for one in taken] == [("taxii", "stix")] * 2


def test_another_partners_collection_is_answered_as_one_that_does_not_exist(
    desk: Store, client: Any, world: World, aino: str
) -> None:
    told(desk, PARTNER)
    liga, theirs = token(desk, "Liga", world.other_id), mine(client, aino)
    for rest in ("", "objects/", "manifest/", "objects/incident--1/", "objects/incident--1/versions/"):
        others, none = get(client, theirs + rest, liga), get(client, ROOT + "none/" + rest, liga)
        assert (others.status_code, others.data) == (404, none.data), rest
    headers = {"Authorization": f"Bearer {liga}", "Accept": TAXII}
    assert client.post(theirs + "objects/", headers=headers, json={}).status_code == 404


def test_what_may_no_longer_be_given_leaves_and_comes_back_as_new(desk: Store, client: Any, aino: str) -> None:
    told(desk, PARTNER)
    objects = mine(client, aino) + "objects/"
    first = get(client, objects, aino)
    assert b"loader" in first.data
    with desk.unit_of_work() as tx:
        agreement(tx, expires_on=clock.now())
    gone = get(client, objects, aino)
    assert (gone.status_code, gone.get_json(force=True)) == (200, {})
    assert get(client, mine(client, aino) + "manifest/", aino).get_json(force=True) == {}
    with desk.unit_of_work() as tx:
        agreement(tx)
    last = first.headers["X-TAXII-Date-Added-Last"]
    assert b"loader" in get(client, f"{objects}?added_after={last}", aino).data


def test_what_is_the_same_in_several_is_listed_once_where_it_came_first(desk: Store, client: Any, aino: str) -> None:
    told(desk, PARTNER, title="First")
    manifest = mine(client, aino) + "manifest/"
    first = [(one["id"], one["version"]) for one in get(client, manifest, aino).get_json(force=True)["objects"]]
    told(desk, PARTNER, title="Second")
    with desk.read() as tx:
        assert sorted(tx.execute(select(Alert.listed)).scalars()) == [False, True]
    both = [(one["id"], one["version"]) for one in get(client, manifest, aino).get_json(force=True)["objects"]]
    assert both[: len(first)] == first and len(set(both)) == len(both) > len(first)
    with desk.read() as tx:
        assert len(list(tx.execute(select(CollectionObject.id)))) > len(both), "who is who is in both"
        assert list(tx.execute(select(Alert.listed)).scalars()) == [True, True]


def test_an_exercise_has_a_collection_of_its_own_and_nothing_of_it_is_in_another(
    desk: Store, client: Any, world: World, aino: str
) -> None:
    with desk.unit_of_work() as tx:
        put_contact(tx, mailbox("ex@fi.example") | {"exercise": "ex-1"}, code="fi-ex", order=9)
        drill = put_incident(tx, exercise="ex-1", tlp="AMBER").id
    told(desk, PARTNER, title="Real")
    before = get(client, ROOT, aino).get_json(force=True)["collections"]
    assert [one["title"] for one in before] == [f"Released to {PARTNER}"], "an exercise nobody was told of in is none"
    [drilled] = told(desk, PARTNER, incident_id=drill, title="Drill", body="EXERCISE loader.")
    real, exercise = get(client, ROOT, aino).get_json(force=True)["collections"]
    assert (real["id"], exercise["title"]) == (before[0]["id"], f"Released to {PARTNER}, exercise ex-1")

    def told_in(collection: dict[str, Any], rest: str) -> Any:
        return get(client, f"{ROOT}{collection['id']}/{rest}", aino)

    seen = told_in(exercise, "objects/").get_json(force=True)["objects"]
    assert [one["name"] for one in seen if one["type"] == "incident"] == ["Drill"]
    report = next(one for one in seen if one["type"] == "report")
    assert "exercise" in report["labels"] and "Real" not in str(seen)
    assert {one["type"] for one in seen if "EXERCISE" in str(one)} >= {"marking-definition"}
    assert b"Drill" not in told_in(real, "objects/").data
    kept = {one["id"] for one in seen if one["type"] in ("incident", "report")}
    assert not kept & {one["id"] for one in told_in(real, "manifest/").get_json(force=True)["objects"]}
    for number in kept:
        assert told_in(real, f"objects/{number}/").status_code == told_in(real, "objects/incident--none/").status_code
        assert told_in(exercise, f"objects/{number}/").get_json(force=True)["objects"]

    liga = token(desk, "Liga", world.other_id)
    assert [one["title"] for one in get(client, ROOT, liga).get_json(force=True)["collections"]] == [
        f"Released to {OTHER}"]  # fmt: skip
    assert get(client, f"{ROOT}{exercise['id']}/objects/", liga).status_code == 404
    with desk.read() as tx:
        taken = tx.execute(select(Handout.exercise).join(Alert, Alert.id == Handout.alert_id).where(
            Alert.public_id == drilled))  # fmt: skip
        assert set(taken.scalars()) == {"ex-1"}


def test_a_further_alert_is_a_newer_version_and_the_older_one_is_there_when_asked_for(
    desk: Store, client: Any, aino: str
) -> None:
    told(desk, PARTNER, tlp="GREEN", title="One hospital")
    with desk.read() as tx:
        incident_id = tx.execute(select(Alert.incident_id)).scalar_one()
    told(desk, PARTNER, incident_id=incident_id, kind="update", title="Two hospitals")
    objects = mine(client, aino) + "objects/?match[type]=incident"

    def names(more: str) -> list[str]:
        return [one["name"] for one in get(client, objects + more, aino).get_json(force=True)["objects"]]

    assert names("") == names("&match[version]=last") == ["Two hospitals"]
    assert names("&match[version]=first") == ["One hospital"]
    assert names("&match[version]=all") == ["One hospital", "Two hospitals"]


def test_red_is_in_no_collection_also_where_its_reader_may_take_it_as_a_file(
    desk: Store, client: Any, world: World
) -> None:
    user = person(desk, "partner-user", "Aino", organisation_id=world.partner_id)
    with desk.unit_of_work() as tx:
        email = user_row(tx, user.user_id).email
        agreement(tx, ceiling="RED")
        named = {"tlp_max": "RED", "person": {"name": "Aino", "email": email}}
        put_contact(tx, phone(), code=PARTNER, organisation=PARTNER, **named)
        asked = alerts.tell(
            tx, incident=put_incident(tx, tlp="RED"), kind="initial", title="Red title", body="Red body",
            purpose="network-defence", info_category="incident-notification", requested_by="user:99", ack="person",
            audience={"organisations": [PARTNER]}, marking=Marking(tlp="RED", named_recipients={email}),
        )  # fmt: skip
    second, officer = person(desk, "release-authority"), person(desk, "coordinator")
    with desk.unit_of_work() as tx:
        alert = alerts.raise_approved(tx, approve(tx, asked.referred[0].id, principal=second).id)
        public_id, number = alert.public_id, alert.id
    with desk.unit_of_work() as tx:
        alerts.acknowledge_for(tx, number, principal=officer, by="Aino", answer="acknowledged", note=None)
        secret = create_token(tx, user.user_id, name="taxii", scopes=["read"], actor="cli:test")
    assert get(client, mine(client, secret) + "objects/", secret).get_json(force=True) == {}
    headers = {"Authorization": f"Bearer {secret}"}
    assert b"Red body" in client.get(f"/api/v1/released/{public_id}/file?as=json", headers=headers).data


@pytest.mark.parametrize(("path", "code"), [
    ("", 200), ("?limit=0", 400), ("?added_after=yesterday", 400), ("?next=x", 400), ("?limit=99999", 200),
    ("?match[type]=", 200), ("?match[spec_version]=2.0", 200),
])  # fmt: skip
def test_filters_that_are_none_are_refused(desk: Store, client: Any, aino: str, path: str, code: int) -> None:
    answer = get(client, mine(client, aino) + "objects/" + path, aino)
    assert (answer.status_code, answer.content_type) == (code, TAXII)


def test_without_a_token_or_with_that_of_our_own_people_nothing_is_told(desk: Store, client: Any, aino: str) -> None:
    answer = client.get("/taxii2/", headers={"Accept": TAXII})
    assert (answer.status_code, answer.content_type) == (401, TAXII)
    assert "Basic" in answer.headers["WWW-Authenticate"] and answer.get_json(force=True)["http_status"] == "401"
    assert get(client, "/taxii2/", token_for(desk, "coordinator")).status_code == 403
    basic = base64.b64encode(f"x:{aino}".encode()).decode()
    assert client.get("/taxii2/", headers={"Authorization": f"Basic {basic}"}).status_code == 200
    assert client.get("/api/v1/released", headers={"Authorization": f"Basic {basic}"}).status_code == 401
    wrong = client.get("/taxii2/", headers={"Authorization": f"Bearer {aino}", "Accept": "text/html"})
    assert wrong.status_code == 406
    for said in ('application/taxii+json; version="2.1"', "application/json;q=0.5, application/taxii+json;version=2.1"):
        headers = {"Authorization": f"Bearer {aino}", "Accept": said}
        assert client.get("/taxii2/", headers=headers).status_code == 200, said
