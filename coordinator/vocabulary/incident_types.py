"""What kind of incident it is: the Reference Security Incident Taxonomy (RSIT, ENISA and TF-CSIRT), version 1003.

A code is a class (`malicious-code`), a class and a type (`malicious-code/c2-server`), or `undetermined`, which is our
short form of `other/undetermined` and what a person picks who does not know yet.
"""

from __future__ import annotations

from coordinator.vocabulary.vocabulary import Vocabulary, load


def _labels() -> dict[str, str]:
    labels = {}
    for group in load("incident_types")["classes"]:
        labels[group["value"]] = group["name"]
        for kind in group["types"]:
            labels[f"{group['value']}/{kind['value']}"] = f"{group['name']}: {kind['name']}"
    return labels | {"undetermined": "Not determined yet"}


INCIDENT_TYPES: Vocabulary[str] = Vocabulary(_labels())
