"""One released alert as a MISP event for its one recipient. Its distribution is never wider than its label.

A case is one event: a further alert on it is the same event, newer. MISP has no distribution as narrow as RED, so that
what is RED does not go out in this form.
Sources: MISP core format (draft 20); the MISP taxonomies tlp, PAP, iep2-policy and exercise.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from coordinator.errors import Refused
from coordinator.interchange import policies
from coordinator.interchange.contents import Contents, Party
from coordinator.interchange.stix_definitions import OURS
from coordinator.markings import DEFAULT_COMMUNITY, Tlp

MEDIA_TYPE = "application/vnd.misp+json"

OWN_ORGANISATION, COMMUNITY, ALL, GROUP = "0", "1", "3", "4"
#: The recipient, and the recipient with its clients (what AMBER means): distributions that MISP does not have. They say
#: no more than label and agreement do; importing knows them again.
OWN_GROUP = str(uuid.uuid5(OURS, "sharing-group/recipient"))
CLIENTS_GROUP = str(uuid.uuid5(OURS, "sharing-group/recipient and its clients"))
#: Whoever asks for more than this asks the originator.
ASK_GROUP = str(uuid.uuid5(OURS, "sharing-group/recipient alone, the originator is asked"))

_THREAT_UNDEFINED = "4"
_ANALYSIS = {"initial": "0", "closure": "2"}
_TYPES = {
    "ipv4-addr": "ip-dst", "ipv4-addr:value": "ip-dst", "ipv6-addr": "ip-dst", "ipv6-addr:value": "ip-dst",
    "domain-name": "domain", "domain-name:value": "domain", "url:value": "url", "email-addr": "email",
    "email-addr:value": "email", "mac-addr": "mac-address", "file:hashes.MD5": "md5", "file:hashes.SHA-1": "sha1",
    "file:hashes.SHA-256": "sha256", "file:hashes.SHA-512": "sha512", "file:name": "filename",
    "pattern:stix": "stix2-pattern", "pattern:yara": "yara", "pattern:sigma": "sigma", "pattern:snort": "snort",
}  # fmt: skip
#: The types of the format that can be looked for or say what was found, by the category it gives them first.
_CATEGORIES = {
    "Network activity": (
        "ip-src", "ip-dst", "ip-src|port", "ip-dst|port", "hostname", "hostname|port", "domain", "domain|ip", "url",
        "uri", "email", "email-src", "email-dst", "email-subject", "mac-address", "mac-eui-64", "user-agent", "AS",
        "snort", "bro", "zeek", "stix2-pattern", "pattern-in-traffic", "onion-address", "http-method", "cookie", "port",
        "x509-fingerprint-md5", "x509-fingerprint-sha1", "x509-fingerprint-sha256", "ja3-fingerprint-md5",
    ),
    "Payload delivery": (
        "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha512/224", "sha512/256", "filename", "filename|md5",
        "filename|sha1", "filename|sha224", "filename|sha256", "filename|sha384", "filename|sha512", "filename|ssdeep",
        "filename|imphash", "filename|tlsh", "ssdeep", "imphash", "impfuzzy", "authentihash", "pehash", "tlsh", "yara",
        "sigma", "pattern-in-file", "malware-type", "email-attachment", "email-body", "email-header",
        "email-message-id", "email-mime-boundary", "email-reply-to", "email-src-display-name",
        "email-dst-display-name", "email-thread-index", "email-x-mailer", "mobile-application-id",
    ),
    "External analysis": ("vulnerability", "weakness", "link"),
    "Artifacts dropped": (
        "regkey", "regkey|value", "mutex", "named pipe", "mime-type", "pattern-in-memory", "pdb",
        "windows-scheduled-task", "windows-service-name", "windows-service-displayname",
    ),
    "Attribution": (
        "threat-actor", "campaign-name", "campaign-id", "whois-registrant-phone", "whois-registrant-email",
        "whois-registrant-name", "whois-registrant-org", "whois-registrar", "whois-creation-date", "dns-soa-email",
    ),
    "Financial fraud": ("btc", "xmr", "iban", "bic", "bank-account-nr", "aba-rtn", "bin", "prtn", "phone-number"),
    "Social network": ("github-username", "github-repository", "github-organisation", "jabber-id", "twitter-id"),
    "Targeting data": (
        "target-user", "target-email", "target-machine", "target-org", "target-location", "target-external",
    ),
    "Other": ("size-in-bytes", "float", "hex", "cpe"),
}  # fmt: skip
_CATEGORY_OF = {kind: category for category, kinds in _CATEGORIES.items() for kind in kinds}
_LOOKED_FOR = ("Network activity", "Payload delivery")
#: By themselves they would find everybody: nothing for a recipient's sensors.
_FOUND_EVERYWHERE = frozenset({
    "port", "http-method", "cookie", "malware-type", "email-body", "email-header", "email-message-id",
    "email-mime-boundary", "email-reply-to", "email-src-display-name", "email-dst-display-name", "email-thread-index",
    "email-x-mailer", "mobile-application-id",
})  # fmt: skip


def refuse_red(tlp: str) -> None:
    """Raises Refused for RED."""
    if tlp == Tlp.RED.value:
        raise Refused("MISP knows no distribution as narrow as TLP:RED: take it in another form.")


def write(*several: Contents) -> bytes:
    """The event as MISP exports it; several as a search answers them."""
    events = [{"Event": event_of(contents)} for contents in several]
    body = events[0] if len(events) == 1 else {"response": events}
    return json.dumps(body, ensure_ascii=False, indent=2, allow_nan=False).encode("utf-8", "replace")


def event_of(contents: Contents) -> dict[str, Any]:
    """The event. Raises Refused for RED."""
    refuse_red(contents.tlp.value)
    distribution, group = _distribution(contents)
    event_id, at = _uuid("event", contents.reference or contents.key), _unix(contents.left_at)
    attributes = [_attribute(contents, kind, value) for kind, value in contents.observables]
    attributes.append(_attribute(contents, "text", "\n".join(contents.binding), comment="How to handle it"))
    attributes += [
        _attribute(contents, "text", f"{each.name}\n{each.size} bytes\nSHA-256 {each.sha256}\n{each.url}".rstrip(),
                   comment="File of this release, to be taken where the recipient signs in")
        for each in contents.files
    ]  # fmt: skip
    author = _organisation(contents.originator or contents.sender)
    event: dict[str, Any] = {
        "id": "1", "uuid": event_id, "info": contents.title, "published": True, "date": _day(contents),
        "threat_level_id": _THREAT_UNDEFINED, "analysis": _ANALYSIS.get(contents.kind, "1"), "timestamp": at,
        "publish_timestamp": at, "first_publication": _unix(contents.first_at), "org_id": "1", "orgc_id": "2",
        "attribute_count": str(len(attributes)), "distribution": distribution,
        "sharing_group_id": "1" if group else "0", "extends_uuid": "", "locked": False,
        "Org": {**_organisation(contents.sender), "id": "1"}, "Orgc": {**author, "id": "2"},
        "Tag": [{"name": name, "exportable": True} for name in _tags(contents)], "Attribute": attributes,
        "EventReport": [{
            "id": "1", "uuid": _uuid("report", contents.key), "event_id": "1", "distribution": "5",
            "sharing_group_id": "0", "timestamp": at, "deleted": False, "content": contents.body,
            "name": f"{contents.kind_name} {contents.reference or contents.key}",
        }],
    }  # fmt: skip
    if group:
        event["SharingGroup"] = _group(contents, group)
    return event


# ---------------------------------------------------------------- marking


def _distribution(contents: Contents) -> tuple[str, str]:
    """(distribution, uuid of the sharing group where it is one): at most what label, caveats and agreement let."""
    marking, owed = contents.marking, set(contents.obligations)
    asks = marking.orcon or marking.rel_to is not None or marking.not_rel_to or marking.le_sensitive
    if asks or marking.embargo_until or "O-ONWARD-originator-consent" in owed:
        return GROUP, ASK_GROUP
    if contents.tlp >= Tlp.AMBER_STRICT:
        return OWN_ORGANISATION, ""
    if owed & {"O-ONWARD-none", "O-ONWARD-own-organisation"}:
        return GROUP, OWN_GROUP
    if contents.tlp is Tlp.AMBER or "O-ONWARD-clients" in owed:
        return GROUP, CLIENTS_GROUP
    if contents.tlp is Tlp.GREEN and marking.community != DEFAULT_COMMUNITY:
        return GROUP, _uuid("community", marking.community)
    return (COMMUNITY if contents.tlp is Tlp.GREEN or "O-ONWARD-community" in owed else ALL), ""


_GROUPS = {
    OWN_GROUP: ("Recipient", "The organisation it was released to."),
    CLIENTS_GROUP: ("Recipient and its clients", "The organisation it was released to, and its clients."),
    ASK_GROUP: ("Recipient, else ask", "The organisation it was released to. Before any other, ask the originator."),
}


def _group(contents: Contents, group: str) -> dict[str, Any]:
    community = f"Community {contents.marking.community}"
    name, description = _GROUPS.get(group, (community, "The members of this community."))
    members = [party for party in (contents.sender, contents.recipient) if party is not None]
    return {
        "id": "1", "uuid": group, "name": name, "description": description, "releasability": description,
        "active": True, "roaming": False, "local": True,
        "SharingGroupOrg": [
            {"sharing_group_id": "1", "org_id": str(number), "extend": False, "Organisation": _organisation(party)}
            for number, party in enumerate(members, 1)
        ],
        "SharingGroupServer": [],
    }  # fmt: skip


def _tags(contents: Contents) -> list[str]:
    named = contents.sender is not None
    return [
        contents.tlp.label.lower(), *([contents.marking.pap.label] if contents.marking.pap else []),
        *policies.tags_of(contents.marking.policy_told), *([] if named else ["tlp:ex:chr"]),
        *([f'exercise:generic="{contents.exercise}"'] if contents.exercise else []),
    ]  # fmt: skip


# ---------------------------------------------------------------- content


def _attribute(contents: Contents, kind: str, value: str, comment: str = "") -> dict[str, Any]:
    known = _TYPES.get(kind, kind)
    category = _CATEGORY_OF.get(known)
    if category is None:
        known, comment = "text", comment or kind
    return {
        "id": "1", "uuid": _uuid("attribute", contents.key, kind, value), "event_id": "1", "type": known,
        "category": category or "Other", "distribution": "5",
        "timestamp": _unix(contents.left_at), "comment": comment, "sharing_group_id": "0", "deleted": False,
        "disable_correlation": category is None, "value": value,
        "to_ids": category in _LOOKED_FOR and known not in _FOUND_EVERYWHERE,
    }  # fmt: skip


def _organisation(party: Party | None) -> dict[str, str]:
    """`None`: the source is withheld, and the format wants one."""
    if party is None:
        return {"id": "1", "uuid": _uuid("organisation", "withheld"), "name": "Withheld"}
    return {"id": "1", "uuid": _uuid("organisation", party.code), "name": party.name}


def _day(contents: Contents) -> str:
    return contents.noticed_at[:10] or contents.left_at.date().isoformat()


def _uuid(*names: str) -> str:
    return str(uuid.uuid5(OURS, "/".join(("misp", *names))))


def _unix(instant: datetime) -> str:
    return str(int(instant.timestamp()))
