"""A document of another through our importer, out again in our form, and in once more: what is lost of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from coordinator.errors import Invalid, NotParseable
from coordinator.incidents.items import marking_of_report
from coordinator.interchange import misp, misp_out, stix, stix_out
from coordinator.interchange.contents import Contents, Party
from coordinator.markings import Tlp, parse_tlp
from coordinator.outside.strict_json import parse_json
from coordinator.sharing.composed import handling
from tests.stix.verdicts import NOW

US, THEM = Party("EE-MFA", "Estonia"), Party("FI-CSIRT", "Finland")


def of_stix(raw: bytes) -> list[str] | None:
    """What a STIX bundle loses: objects that changed or are missing, markings that came back looser. None where it
    was refused."""
    try:
        report = dict(stix.read(raw, NOW).report)
    except (Invalid, NotParseable):
        return None
    withheld = (report.get("caveats") or {}).get("no_attribution")
    came = [] if withheld else parse_json(raw)["objects"]  # they name their source
    made = stix_out.write(contents_of(report, objects=tuple(came)))
    back = {json.dumps(one, sort_keys=True) for one in parse_json(made)["objects"]}
    lost = [f"{one['id']} changed or missing" for one in came if json.dumps(one, sort_keys=True) not in back]
    again = stix.read(made, NOW).report
    lost += [] if again["title"] == report["title"] else ["it is read as another case"]
    return lost + _looser(report, again)


def of_misp(raw: bytes) -> list[str] | None:
    """What a MISP event loses: what can be looked for, and markings. RED does not go out as MISP."""
    try:
        report = dict(misp.read(raw, NOW).report)
    except (Invalid, NotParseable):
        return None
    contents = contents_of(report, observables=tuple((one["type"], one["value"]) for one in report["observables"]))
    lost = _looser(report, stix.read(stix_out.write(contents), NOW).report)
    if contents.tlp is Tlp.RED:
        return lost
    again = misp.read(misp_out.write(contents), NOW).report
    kept = {(one["type"], one["value"]) for one in again["observables"]}
    lost += [f"a {kind} is missing" for kind, value in contents.observables if (kind, value) not in kept]
    return lost + _looser(report, again)


def contents_of(report: Mapping[str, Any], **more: Any) -> Contents:
    """What a release of this report to one recipient would hold."""
    marking = marking_of_report(dict(report))
    sender = None if marking.no_attribution else US
    return Contents(
        key="alr-" + "7" * 20, reference="REF-7K3M-Q9TD-W25C", kind="initial", title=report["title"],
        body=report.get("description") or "As it came.", language="en", marking=marking, tlp=marking.effective,
        recipient=THEM, sender=sender, originator=sender, purpose="network defence", obligations=(), binding=(),
        handling=tuple(handling(marking)), left_at=NOW + timedelta(hours=1), first_at=NOW, **more,
    )  # fmt: skip


def _looser(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Each part of a marking that asks for less than it did."""
    was, now = before.get("caveats") or {}, after.get("caveats") or {}
    found = []
    if parse_tlp(after["tlp"]) < parse_tlp(before["tlp"]):
        found.append("the label came back looser")
    if before.get("pap") and after.get("pap") != before["pap"]:
        found.append("PAP is missing")
    return found + [f"{name} is missing" for name, value in was.items() if value and name not in now]
