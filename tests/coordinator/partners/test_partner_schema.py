"""Organisations, points of contact, endpoints and settings as outside data."""

from datetime import UTC, datetime

import pytest

from coordinator.errors import Invalid
from coordinator.outside.faults import load
from coordinator.partners.schema import (
    PRIVATE_RANGES,
    ContactSchema,
    EndpointSchema,
    OrganisationSchema,
    SettingsSchema,
)
from tests.openpgp import EXPIRED, public_key

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ORGANISATION = {"code": "FI-CSIRT", "name": "National CSIRT (fictional)", "kind": "national-csirt"}
CONTACT = {"code": "fi-duty", "organisation": "FI-CSIRT", "kind": "technical"}
IN = {"id": "fi-in", "organisation": "FI-CSIRT", "direction": "in", "secret": SECRET}
OUT = IN | {"id": "fi-out", "direction": "out", "url": "https://csirt.fi.example/hooks"}


def faults_of(shape, data):
    with pytest.raises(Invalid) as refused:
        load(shape(), data)
    return [fault.pointer for fault in refused.value.errors]


def test_an_organisation_is_taken_in_canonical_form():
    full = ORGANISATION | {"code": "fi-csirt", "country": "fi", "communities": ["cyber-defence"], "own": False,
                           "sectors": ["health"], "client_of_own": True}  # fmt: skip
    assert load(OrganisationSchema(), full) == full | {"code": "FI-CSIRT", "country": "FI"}


@pytest.mark.parametrize(
    "change, pointer",
    [({"code": "OWN"}, "/code"), ({"code": "a b"}, "/code"), ({"kind": "club"}, "/kind"),
     ({"country": "XX"}, "/country"),
     ({"communities": ["Cyber Defence"]}, "/communities/0"), ({"own": "yes"}, "/own"), ({"name": "a\nb"}, "/name")],
)  # fmt: skip
def test_an_organisation_that_breaks_a_rule_is_refused(change, pointer):
    assert faults_of(OrganisationSchema, ORGANISATION | change) == [pointer]


def test_a_contact_is_a_function_with_or_without_a_person():
    contact = CONTACT | {
        "person": None, "function": "Duty desk", "languages": ["fi", "EN"], "time_zone": "Europe/Helsinki",
        "hours": "24x7", "order": 1, "verified_on": "2026-10-01T08:00:00Z", "tlp_max": "amber",
        "channels": [{"kind": "webhook", "endpoint": "fi-out"}, {"kind": "email", "address": "duty@fi.example",
                     "pgp_key": public_key()}, {"kind": "voice", "number": "+358 0"}],
    }  # fmt: skip
    loaded = load(ContactSchema(), contact)
    assert "person" not in loaded
    assert loaded["verified_on"] == datetime(2026, 10, 1, 8, tzinfo=UTC)
    assert (loaded["tlp_max"], loaded["languages"]) == ("AMBER", ["fi", "en"])
    assert load(ContactSchema(), CONTACT | {"person": {"name": "Attaché"}})["person"] == {"name": "Attaché"}


@pytest.mark.parametrize(
    "change, pointers",
    [
        ({"time_zone": "Europe"}, ["/time_zone"]),
        ({"time_zone": "../../etc/localtime"}, ["/time_zone"]),
        ({"hours": "mornings"}, ["/hours"]),
        ({"order": 0}, ["/order"]),
        ({"person": {"email": "a@b.example"}}, ["/person/name"]),
        ({"channels": [{"kind": "webhook"}]}, ["/channels/0/endpoint"]),
        ({"channels": [{"kind": "email", "number": "+358 0"}]}, ["/channels/0/address", "/channels/0/number"]),
        ({"channels": [{"kind": "voice", "number": "call me"}]}, ["/channels/0/number"]),
        ({"channels": [{"kind": "courier"}]}, ["/channels/0/place"]),
        ({"channels": [{"kind": "courier", "place": "x", "number": "+358 0"}]}, ["/channels/0/number"]),
        ({"channels": [{"kind": "pigeon"}]}, ["/channels/0/kind"]),
        ({"channels": ["email"]}, ["/channels/0"]),
        ({"channels": [{"kind": "webhook", "endpoint": "x", "pgp_key": "k"}]}, ["/channels/0/pgp_key"]),
        ({"channels": [{"kind": "email", "address": "a@b.example", "pgp_key": EXPIRED}]}, ["/channels/0/pgp_key"]),
        ({"verified_on": "2026-10-01"}, ["/verified_on"]),
    ],
)
def test_a_contact_that_breaks_a_rule_is_refused(change, pointers):
    assert faults_of(ContactSchema, CONTACT | change) == pointers


@pytest.mark.parametrize(
    "said, ranges",
    [(True, list(PRIVATE_RANGES)), (False, []), (["10.1.2.0/24", "fd00::/8"], ["10.1.2.0/24", "fd00::/8"])],
)
def test_private_ranges_are_always_given_as_a_list(said, ranges):
    assert load(EndpointSchema(), OUT | {"allow_private": said})["allow_private"] == ranges


@pytest.mark.parametrize(
    "data, pointers",
    [
        (IN | {"url": "https://x.example/"}, ["/url"]),
        ({key: value for key, value in OUT.items() if key != "url"}, ["/url"]),
        (OUT | {"url": "ftp://x.example/"}, ["/url"]),
        (OUT | {"url": "https://user:pass@x.example/"}, ["/url"]),
        (OUT | {"url": "https:///path"}, ["/url"]),
        (OUT | {"url": "https://x.example:99999/"}, ["/url"]),
        (OUT | {"url": "https://[::1/"}, ["/url"]),
        (OUT | {"url": "https://x.example/a b"}, ["/url"]),
        (OUT | {"url": "https://x.example/\r\nHost: y"}, ["/url"]),
        (IN | {"id": "a/b"}, ["/id"]),
        (IN | {"id": "../in"}, ["/id"]),
        (IN | {"direction": "both"}, ["/direction"]),
        (IN | {"secret": SECRET.removeprefix("whsec_")}, ["/secret"]),
        (IN | {"secret": "whsec_c2hvcnQ="}, ["/secret"]),
        (IN | {"secret": "whsec_???"}, ["/secret"]),
        (IN | {"secret": 7}, ["/secret"]),
        (OUT | {"allow_private": ["10.1.2.3/8"]}, ["/allow_private"]),
        (OUT | {"allow_private": "10.0.0.0/8"}, ["/allow_private"]),
    ],
)
def test_an_endpoint_that_breaks_a_rule_is_refused(data, pointers):
    assert faults_of(EndpointSchema, data) == pointers


def test_a_refused_secret_is_not_repeated():
    with pytest.raises(Invalid) as refused:
        load(EndpointSchema(), IN | {"secret": "whsec_canary"})
    assert "canary" not in str(refused.value.errors)


def test_settings_name_our_organisation_its_community_and_its_duty_role():
    settings = {"own_organisation": "EE-MFA", "community": "cyber-defence", "duty_role": "duty-officer"}
    assert load(SettingsSchema(), settings) == settings
    assert faults_of(SettingsSchema, settings | {"duty_role": "boss", "colour": 1}) == ["/colour", "/duty_role"]
