"""What STIX 2.1 recommends and does not demand, and what a receiver may ask of a sender beside what is demanded.

The numbers are those of the validator of its own committee, so that a sender finds them in its documentation.
"""

from __future__ import annotations

_NAMED = "Put custom content into an extension that has an extension definition."
_LISTED = "Use a value of the open vocabulary that STIX 2.1 gives for this."
#: Number -> (the property it is about, "" for the object; what to do).
CHECKS: dict[str, tuple[str, str]] = {
    "101": ("", "Begin custom names with x, your domain and the name, or better: use an extension."),
    "102": ("", "Begin custom names with x, or better: use an extension."),
    "103": ("id", "Use version 4 of the UUID in ids; version 5 for observables."),
    "111": ("", "Write values of open vocabularies in lower case with hyphens."),
    "121": ("kill_chain_phases", "Write names of kill chains and phases in lower case with hyphens."),
    "141": ("objects", "Number the keys of observed objects."),
    "142": ("", "Write the keys of dictionaries in lower case."),
    "143": ("product", "Write the name of the product in lower case with hyphens."),
    "149": ("extensions", "End the priority of a process with _CLASS, as Windows writes it."),
    "150": ("hashes", "Name hash algorithms with 3 to 250 characters."),
    "201": ("definition_type", "Use the kinds of marking definitions that STIX 2.1 has."),
    "202": ("relationship_type", "Use a relationship that STIX 2.1 suggests between these types."),
    "203": ("modified", "Give two versions of an object two modification times."),
    "211": ("", _LISTED),
    "212": ("resource_level", _LISTED),
    "213": ("identity_class", _LISTED),
    "214": ("indicator_types", _LISTED),
    "215": ("sectors", _LISTED),
    "216": ("malware_types", _LISTED),
    "218": ("report_types", _LISTED),
    "219": ("threat_actor_types", _LISTED),
    "220": ("roles", _LISTED),
    "221": ("sophistication", _LISTED),
    "222": ("tool_types", _LISTED),
    "223": ("region", _LISTED),
    "225": ("context", _LISTED),
    "226": ("implementation_languages", _LISTED),
    "227": ("infrastructure_types", _LISTED),
    "228": ("capabilities", _LISTED),
    "230": ("architecture_execution_envs", _LISTED),
    "231": ("result", _LISTED),
    "241": ("hashes", "Name hash algorithms as the open vocabulary of STIX 2.1 does."),
    "243": ("extensions", _LISTED),
    "244": ("account_type", _LISTED),
    "245": ("pattern_type", _LISTED),
    "271": ("mime_type", "Use a media type that is registered with IANA."),
    "272": ("protocols", "Use names of protocols that are registered with IANA."),
    "273": ("ipfix", "Use names of IPFIX elements that are registered with IANA."),
    "274": ("extensions", "Use names of HTTP request headers that are registered."),
    "275": ("extensions", "Use names of socket options as the standard lists them."),
    "276": ("extensions", "Use the keys that PDF has for information on a document."),
    "277": ("country", "Write the country as two letters of ISO 3166-1."),
    "301": ("", "Give both ports, src_port and dst_port."),
    "302": ("external_references", "Put hashes beside the URL of an external reference."),
    "303": ("", "Give both a name and a description."),
    "304": ("", "Leave out properties that STIX 2.1 calls deprecated."),
    "305": ("description", "Describe the extension."),
    "306": ("extension_properties", "Name the properties that the extension adds at the top."),
    "401": ("", _NAMED),
    "types": ("type", "Use only types of objects that STIX 2.1 defines."),
    "properties": ("", "Use only properties that STIX 2.1 defines."),
    "references": ("", "Send both ends of a relationship in the same bundle."),
    "interoperability": ("created_by_ref", "Name who made each object, and send that identity along."),
}
#: The words of what a receiver asks, in the order in which they are shown.
ASKS = ("recommended", "types", "properties", "references", "interoperability")
#: Whole groups of checks have numbers too.
NUMBERS = tuple(sorted({number for number in CHECKS if number.isdigit()} | {"1", "2", "210", "270"}))
#: One word of what is asked: beside those above `without-302`, all but this, and `only-302`, no other.
ASK = rf"{'|'.join(ASKS)}|(?:without|only)-(?:{'|'.join(NUMBERS)})"


def says(check: str) -> str:
    """What to do about a remark; of a check that is not known any more, that there is one."""
    return CHECKS[check][1] if check in CHECKS else "Look this up in the documentation of the validator."
