"""An exchange policy (FIRST IEP 2.0) as one line of words, and read again from it. Pure.

So it travels where a form has no place for a policy, or where not all of its statements were made. Beside its label:
that one counts like any label, and travels as one.
"""

from __future__ import annotations

from coordinator.markings import Iep

#: The statements of an exchange policy as a line names them, beside its label: that one counts like any label.
_STATEMENTS = {
    "ENCRYPT IN TRANSIT": "encrypt_in_transit", "PERMITTED ACTIONS": "permitted_actions",
    "AFFECTED PARTY NOTIFICATIONS": "affected_party_notifications", "ATTRIBUTION": "attribution",
    "UNMODIFIED RESALE": "unmodified_resale", "FROM": "start_date", "UNTIL": "end_date",
    "REFERENCE": "external_reference",
}  # fmt: skip
_POLICY = "IEP 2.0: "


def policy_line(policy: Iep | None) -> str:
    """An exchange policy in one line that people read and `read_policy_line` reads again; "" where it says no more
    than a label."""
    written = policy.to_json() if policy is not None else {}
    said = [(name, str(written[key])) for name, key in _STATEMENTS.items() if key in written]
    # A word of the standard stands in capitals as the rest of the line does; instants and addresses as they are.
    return _POLICY + "; ".join(f"{name} {value.upper() if value.islower() and ':' not in value else value}"
                               for name, value in said) if said else ""


def read_policy_line(line: str) -> dict[str, str] | None:
    """The statements in such a line, None where it is none. Nothing is judged: whoever asks has it read strictly,
    and finds what is no statement under its own words."""
    if not line.startswith(_POLICY):
        return None
    found: dict[str, str] = {}
    for said in line.removeprefix(_POLICY).split("; "):
        name = next((each for each in _STATEMENTS if said.startswith(f"{each} ")), "")
        value = said.removeprefix(f"{name} ")
        found[_STATEMENTS.get(name, said)] = value if ":" in value else value.lower()
    return found
