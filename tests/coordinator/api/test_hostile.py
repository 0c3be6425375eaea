"""Input from people who mean harm, or from broken software: refused with a reason, never a 5xx, never echoed."""

from __future__ import annotations

import json
import time

import pytest
from sqlalchemy import select

from coordinator.incidents.items import read_item
from coordinator.incidents.models import ItemVersion
from coordinator.partners.signing import signed_headers
from tests.factories import native, signed, token_for


@pytest.fixture
def store(sqlite_store):
    """What is parsed is the same on both databases; that both store odd text is tested with intake."""
    return sqlite_store


GOOD = b'{"title":"t","tlp":"GREEN","noticed_at":"2026-11-22T03:10:00Z"'

BODIES = {
    "nothing": b"", "blank": b"   ", "null": b"null", "a number": b"1", "a text": b'"x"', "a list": b"[]",
    "cut": b'{"title":', "bom": b"\xef\xbb\xbf" + GOOD + b"}", "utf-16": '{"title":"x"}'.encode("utf-16"),
    "latin-1": b'{"title":"\xe9"}', "overlong": b'{"title":"\xc0\xaf"}',
    "surrogate bytes": b'{"title":"\xed\xa0\x80"}', "lone surrogate": b'{"title":"\\ud800"}',
    "nul": GOOD[:10] + b"\x00" + b"}", "escaped nul": GOOD + b',"description":"a\\u0000b"}',
    "two names": GOOD + b',"tlp":"RED"}', "comment": GOOD + b"/* x */}", "trailing comma": GOOD + b",}",
    "two values": GOOD + b"}{}", "single quotes": b"{'title':'x'}", "nan": GOOD + b',"severity":NaN}',
    "infinity": GOOD + b',"severity":-Infinity}', "1e999": GOOD + b',"severity":1e999}',
    "long number": GOOD + b',"severity":' + b"9" * 5000 + b"}", "hex": GOOD + b',"severity":0x10}',
    "deep list": b"[" * 100_000, "deep object": b'{"a":' * 50_000, "deep and closed": b"[" * 500 + b"]" * 500,
    "true as number": GOOD + b',"severity":true}', "float as number": GOOD + b',"severity":3.0}',
    "list as text": GOOD + b',"description":["x"]}', "object as text": GOOD + b',"description":{"$ne":null}}',
    "proto": GOOD + b',"__proto__":{"x":1}}', "long name": GOOD + b',"' + b"x" * 100_000 + b'":1}',
    "many names": GOOD + b"," + b",".join(b'"n%d":1' % number for number in range(5000)) + b"}",
    "many sectors": GOOD + b',"sectors":' + json.dumps(["x"] * 100_000).encode() + b"}",
    "long title": b'{"title":"' + b"x" * 900_000 + b'","tlp":"GREEN","noticed_at":"2026-11-22T03:10:00Z"}',
    "year 0": GOOD + b',"occurred_at":"0000-01-01T00:00:00Z"}',
    "no offset": GOOD + b',"occurred_at":"2026-01-01T00:00:00"}',
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_broken_body_is_refused_with_a_reason(partner, name):
    answer = partner.post(BODIES[name])
    assert answer.status_code in (400, 422), answer.data
    assert answer.content_type == "application/problem+json"
    assert len(answer.data) < 40_000
    assert partner.post(BODIES[name], f"msg_{partner.count}").status_code == answer.status_code


@pytest.mark.parametrize("name", BODIES)
def test_a_broken_body_is_refused_at_every_json_door(store, world, client, name):
    token = token_for(store, "coordinator")
    reference = client.post("/api/v1/reports", json=native(), headers={"Authorization": f"Bearer {token}"}).get_json()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "If-Match": '"v1"'}
    path = f"/api/v1/incidents/{reference['incident']}"
    doors = [
        ("POST", "/api/v1/reports"), ("PATCH", path), ("POST", f"{path}/status"), ("POST", f"{path}/notes"),
        ("POST", f"{path}/alerts"), ("POST", "/api/v1/tasks/1/complete"), ("POST", f"{path}/links"),
        ("POST", "/api/v1/decisions/1/refuse"), ("POST", "/api/v1/acknowledgements/x"),
    ]  # fmt: skip
    for method, where in doors:
        answer = client.open(where, method=method, data=BODIES[name], headers=headers)
        assert answer.status_code in (400, 404, 422), (where, answer.status_code)


@pytest.mark.parametrize("path, status", [("/playbooks/check", 200), ("/playbooks", 422)])
def test_a_name_that_no_text_can_hold_is_told_of_without_it(store, world, client, path, status):
    headers = {"Authorization": f"Bearer {token_for(store, 'coordinator')}", "Content-Type": "application/json"}
    answer = client.post(f"/api/v1{path}", data=b'{"\\uDFAA": 0}', headers=headers)
    assert answer.status_code == status
    assert answer.get_json()


NAUGHTY = [
    "<script>alert(1)</script>", "'; DROP TABLE incidents;--", "{{7*7}}", "${jndi:ldap://x/a}", "%s%s%n",
    "../../etc/passwd", "\u202etxt.exe", "مرحبا", "各国", "👩‍👩‍👧‍👦", "Z͑ͫ̓̕a̴l̵g̷o̵", "\u200b\u2060x", "ﬁ ﬀ", "a\u0308",
    "=cmd|'/c calc'!A0", "\\x00", "NULL", "None", "true", "1e9", "-0", "0x1", "\u00a0x\u00a0", "\ufeffx", "x" * 120,
    "\U0010ffff x", "\ufffe x",
]  # fmt: skip


@pytest.mark.parametrize("text", NAUGHTY)
def test_odd_but_lawful_text_comes_back_to_the_character(store, partner, client, text):
    assert partner.post(native(title=text, description=f"{text}\n{text}")).status_code == 202
    with store.read() as tx:
        title = tx.execute(select(ItemVersion).where(ItemVersion.kind == "title")).scalar_one()
        assert read_item(tx, title) == text
    answer = client.get("/api/v1/incidents", headers={"Authorization": f"Bearer {token_for(store)}"})
    assert answer.get_json()["items"][0]["title"] == text
    assert answer.content_type == "application/json"


HEADERS = {
    "no id": ({"webhook-id": None}, 400), "no time": ({"webhook-timestamp": None}, 400),
    "an id with a dot": ({"webhook-id": "a.b"}, 400), "no signature": ({"webhook-signature": None}, 400),
    "a time of words": ({"webhook-timestamp": "now"}, 401),
    "a time with a fraction": ({"webhook-timestamp": "1614265330.9"}, 401),
    "an old time": ({"webhook-timestamp": "1614265330"}, 401),
    "a wrong signature": ({"webhook-signature": "v1,AAAA"}, 401),
    "not base64": ({"webhook-signature": "v1,%%%%"}, 401), "another version": ({"webhook-signature": "v9,AAAA"}, 401),
    "a long id": ({"webhook-id": "x" * 300}, 400),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_are_not_right_are_refused(client, world, name):
    body = json.dumps(native()).encode()
    headers = dict(signed_headers([world.secret], "msg_1", int(time.time()), body))
    changes, status = HEADERS[name]
    headers = {key: value for key, value in (headers | changes).items() if value is not None}
    answer = client.post("/api/v1/intake/fi-in", data=body, headers=headers | {"Content-Type": "application/json"})
    assert answer.status_code == status


def test_an_unknown_endpoint_a_disabled_one_and_a_wrong_signature_are_one_answer(store, client, partner, world):
    from coordinator.partners.models import Endpoint

    def post(slug, over):
        headers = signed(world.secret, over, "msg_1")
        return client.post(f"/api/v1/intake/{slug}", data=b"{}", headers=headers)

    wrong = post("fi-in", b"other")
    unknown = [post(slug, b"{}") for slug in ("nobody", "x" * 500, "%00", "fi-out")]
    with store.unit_of_work() as tx:
        tx.get(Endpoint, world.endpoint_id).state = "disabled"
    disabled = partner.post(native())
    assert {(one.status_code, one.data) for one in (wrong, *unknown, disabled)} == {(401, wrong.data)}


def test_a_revoked_secret_proves_nothing_and_a_rotated_one_still_does(store, partner, world):
    from coordinator import clock
    from coordinator.partners.models import EndpointKey
    from tests.factories import add_secret

    with store.unit_of_work() as tx:
        add_secret(tx, world.endpoint_id)
    assert partner.post(native()).status_code == 202
    with store.unit_of_work() as tx:
        tx.execute(select(EndpointKey).order_by(EndpointKey.id)).scalars().first().revoked_at = clock.now()
    assert partner.post(native(title="Later")).status_code == 401


@pytest.mark.parametrize("content_type", [
    "text/plain", "application/xml", "application/json; charset=utf-16", "multipart/form-data; boundary=x", "", "x",
    "application/stix+json;version=9",
])  # fmt: skip
def test_other_media_types_are_not_taken(partner, content_type):
    assert partner.post(native(), content_type=content_type).status_code == 415


def test_a_body_beyond_the_limit_is_refused(partner):
    answer = partner.post(b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")
    assert partner.post(b" " * (1024 * 1024)).status_code == 400
