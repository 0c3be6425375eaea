"""World files as one document: every fault with its pointer, nothing twice, everything that is named elsewhere."""

import base64
import copy

import pytest

from coordinator.errors import Invalid
from coordinator.interchange.world_schema import load_world, references


def secret(letter):
    return "whsec_" + base64.b64encode(letter.encode() * 32).decode()


def world():
    return copy.deepcopy({
        "settings": {"own_organisation": "AA-MFA", "community": "cyber-defence", "duty_role": "duty-officer"},
        "organisations": [
            {"code": "AA-MFA", "name": "A", "kind": "ministry", "country": "EE", "own": True},
            {"code": "BB-CSIRT", "name": "B", "kind": "csirt", "country": "FI", "communities": ["cyber-defence"]},
        ],
        "contacts": [{"code": "bb-duty", "organisation": "BB-CSIRT", "kind": "technical", "channels": [
            {"kind": "email", "address": "duty@bb.example"}, {"kind": "webhook", "endpoint": "bb-out"}]}],
        "endpoints": [
            {"id": "bb-in", "organisation": "BB-CSIRT", "direction": "in", "secret": secret("a")},
            {"id": "bb-out", "organisation": "BB-CSIRT", "direction": "out", "secret": secret("b"),
             "url": "https://bb.example/hook"},
        ],
        "http_hosts": [{"id": "bb-api", "organisation": "BB-CSIRT", "origin": "https://api.bb.example",
                        "methods": ["GET"]}],
        "agreements": [{
            "agreement_id": "MOU-1", "kind": "cert-cert", "tlp_ceiling": "AMBER", "supersedes": "MOU-0",
            "parties": [{"party": "AA-MFA", "role": "both"}, {"party": "BB-CSIRT", "role": "both"}],
            "info_categories_allowed": ["incident-notification"], "permitted_purposes": ["incident-response"],
            "points_of_contact": ["bb-duty"],
        }],
        "consents": [{"from": "BB-CSIRT", "to": "CC-MFA", "purpose": "*", "item": "*", "evidence": "note",
                      "valid_until": "2027-01-01T00:00:00Z"}],
        "users": [{"email": "officer@aa.example", "name": "Officer", "role": "liaison-officer"},
                  {"email": "guest@bb.example", "name": "Guest", "role": "partner-user", "organisation": "BB-CSIRT"}],
    })  # fmt: skip


def faults_of(data):
    with pytest.raises(Invalid) as refused:
        load_world(data)
    return [fault.pointer for fault in refused.value.errors]


def changed(path, value):
    """The world with one value set; `path` is a JSON pointer."""
    data = world()
    *way, last = [int(part) if part.isdigit() else part for part in path.split("/")[1:]]
    place = data
    for part in way:
        place = place[part]
    place[last] = value
    return data


def test_a_whole_world_is_taken():
    loaded = load_world(world())
    assert set(loaded) == set(world())
    assert [row["code"] for row in loaded["organisations"]] == ["AA-MFA", "BB-CSIRT"]


def test_every_part_is_optional_and_absent_ones_are_empty():
    assert load_world({}) == {
        "settings": {}, "organisations": [], "contacts": [], "endpoints": [], "http_hosts": [], "agreements": [],
        "consents": [],
        "users": [],
    }  # fmt: skip


@pytest.mark.parametrize("data", [None, [], "world", 1])
def test_what_is_no_object_is_no_world(data):
    assert faults_of(data) == [""]


@pytest.mark.parametrize(
    "path, value, pointer",
    [
        ("/colour", "red", "/colour"),
        ("/settings/colour", "red", "/settings/colour"),
        ("/organisations", {}, "/organisations"),
        ("/organisations/1", "BB-CSIRT", "/organisations/1"),
        ("/organisations/1/colour", 1, "/organisations/1/colour"),
        ("/organisations/1/code", "aa-mfa", "/organisations/1/code"),
        ("/organisations/1/own", True, "/organisations/1/own"),
        ("/settings/own_organisation", "BB-CSIRT", "/organisations/0/own"),
        ("/endpoints/1/id", "bb-in", "/endpoints/1/id"),
        ("/endpoints/1/secret", secret("a"), "/endpoints/1/secret"),
        ("/endpoints/0/secret", "whsec_short", "/endpoints/0/secret"),
        ("/contacts/0/channels/1/endpoint", None, "/contacts/0/channels/1/endpoint"),
        ("/agreements/0/status", "in-force", "/agreements/0/status"),
        ("/agreements/0/parties/0/role", "giver", "/agreements/0/parties/0/role"),
        ("/consents/0/valid_until", "soon", "/consents/0/valid_until"),
        ("/users/1/email", "OFFICER@aa.example", "/users/1/email"),
        ("/users/0/role", "partner-system", "/users/0/role"),
        ("/users/0/role", "partner-user", "/users/0/organisation"),
    ],
)
def test_a_fault_in_the_file_has_its_pointer(path, value, pointer):
    assert faults_of(changed(path, value)) == [pointer]


def test_faults_of_several_parts_are_told_together():
    data = changed("/endpoints/1/secret", secret("a"))
    data["users"][0]["role"] = "boss"
    data["organisations"].append(5)
    assert faults_of(data) == ["/endpoints/1/secret", "/organisations/2", "/users/0/role"]


def test_a_repeated_secret_is_found_behind_another_writing_of_it_and_is_not_told():
    same = secret("a")[:-2] + "F="
    assert same != secret("a"), "the last two bits of that letter are not used"
    with pytest.raises(Invalid) as refused:
        load_world(changed("/endpoints/1/secret", same))
    assert "YWFh" not in str(refused.value.errors)


def test_everything_that_is_named_elsewhere_is_listed_with_its_pointer():
    assert set(references(load_world(world()))) == {
        ("/settings/own_organisation", "organisation", "AA-MFA"),
        ("/contacts/0/organisation", "organisation", "BB-CSIRT"),
        ("/contacts/0/channels/1/endpoint", "endpoint", "bb-out"),
        ("/endpoints/0/organisation", "organisation", "BB-CSIRT"),
        ("/endpoints/1/organisation", "organisation", "BB-CSIRT"),
        ("/http_hosts/0/organisation", "organisation", "BB-CSIRT"),
        ("/agreements/0/parties/0/party", "organisation", "AA-MFA"),
        ("/agreements/0/parties/1/party", "organisation", "BB-CSIRT"),
        ("/agreements/0/points_of_contact/0", "contact", "bb-duty"),
        ("/agreements/0/supersedes", "agreement", "MOU-0"),
        ("/consents/0/from", "organisation", "BB-CSIRT"),
        ("/consents/0/to", "organisation", "CC-MFA"),
        ("/users/1/organisation", "organisation", "BB-CSIRT"),
    }
