"""What is wrong with a document, and how bad it is."""

from dataclasses import dataclass, field

MAX_FAULTS = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """`pointer` is a JSON pointer (RFC 6901) into the document; `severity` is "fault" or "warning"."""

    pointer: str
    sentence: str
    severity: str = "fault"


class EnoughFaults(Exception):
    """More would help nobody."""


@dataclass(slots=True)
class Findings:
    """Faults as they are found. `soft` ones are warnings by default and faults when strict."""

    strict: bool = False
    faults: list[Fault] = field(default_factory=list)

    def hard(self, pointer: str, sentence: str) -> None:
        """Leaves the run unsafe or ambiguous: a fault by either measure."""
        self._add(Fault(pointer, sentence))

    def soft(self, pointer: str, sentence: str) -> None:
        """Breaks a rule of the standard that a run can live with."""
        self._add(Fault(pointer, sentence, "fault" if self.strict else "warning"))

    def note(self, pointer: str, sentence: str) -> None:
        """Worth knowing, lawful by either measure."""
        self._add(Fault(pointer, sentence, "warning"))

    def _add(self, fault: Fault) -> None:
        if len(self.faults) >= MAX_FAULTS:
            raise EnoughFaults
        self.faults.append(fault)
