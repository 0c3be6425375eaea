"""The shape of each object by itself: JSON schemas of our own (cacao.schema.json, coordination.schema.json), with a
sentence for each way to break them. The schemas that come with CACAO 2.0 cannot serve: read as they are meant they
refuse every document, and read as they are written they let most faults pass.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any

from playbooks.document import escape
from playbooks.faults import MAX_FAULTS, Findings

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

_WORDS = {"object": "an object", "array": "a list", "string": "a text", "integer": "a whole number",
          "boolean": "true or false", "number": "a number", "null": "null"}


@lru_cache(maxsize=1)
def _definitions() -> dict[str, dict[str, Any]]:
    folder = files("playbooks")
    cacao = json.loads(folder.joinpath("cacao.schema.json").read_text("utf-8"))["$defs"]
    ours = json.loads(folder.joinpath("coordination.schema.json").read_text("utf-8"))["$defs"]
    return {"cacao": cacao, "coordination": ours}


@lru_cache(maxsize=128)
def _validator(book: str, name: str) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator  # a second of work, for which a process that checks nothing has no use

    return Draft202012Validator({"$defs": _definitions()[book], "$ref": f"#/$defs/{escape(name)}"})


def knows(name: str, *, book: str = "cacao") -> bool:
    """Whether there is a shape of this name."""
    return name in _definitions()[book]


def check_shape(findings: Findings, value: Any, name: str, pointer: str, *, book: str = "cacao") -> bool:
    """Find what is wrong with the shape of one object; answers whether it can be looked into further.

    A property the standard does not know is a soft fault, in our own extension a hard one.
    """
    sound = True
    for error in islice(_validator(book, name).iter_errors(value), MAX_FAULTS):
        where = pointer + "".join(f"/{escape(str(part))}" for part in error.absolute_path)
        if error.validator == "additionalProperties" and error.validator_value is False:
            for extra in _extras(error):
                report = findings.hard if book == "coordination" else findings.soft
                report(f"{where}/{escape(extra)}", "this property is not known here")
            sound = sound and book != "coordination"
            continue
        sound = False
        for place, sentence in _sentences(error, where):
            findings.hard(place, sentence)
    return sound


def _extras(error: "ValidationError") -> Iterator[str]:
    schema: Any = error.schema
    instance: Any = error.instance
    return islice((str(name) for name in instance if name not in schema.get("properties", {})), 20)


def _sentences(error: "ValidationError", where: str) -> list[tuple[str, str]]:
    schema: Any = error.schema
    wanted: Any = error.validator_value
    instance: Any = error.instance
    told = schema.get("x-sentence")
    match error.validator:
        case "required":
            missing = [name for name in wanted if name not in instance]
            return [(f"{where}/{escape(name)}", f"{name} is required") for name in missing]
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return [(where, told or f"{' or '.join(_WORDS[each] for each in kinds)} is expected")]
        case "const":
            return [(where, f"this must be {json.dumps(wanted)}")]
        case "enum":
            return [(where, f"one of {', '.join(map(str, wanted))} is expected")]
        case "minimum" | "maximum":
            least = error.validator == "minimum"
            return [(where, told or f"{wanted} is the {'least' if least else 'most'} that is allowed")]
        case "minItems" | "minLength" | "minProperties":
            return [(where, told or f"at least {wanted} {'is' if wanted == 1 else 'are'} needed")]
        case "maxItems" | "maxLength" | "maxProperties":
            return [(where, told or f"at most {wanted} are allowed")]
        case "uniqueItems":
            return [(where, told or "the same stands here twice")]
    return [(where, told or "this does not have the form that is expected")]
