"""Who may lower a label, and how far. Pure.

TLP 2.0 and R06: whoever said something sets its label; everybody may be stricter, nobody else may be less strict. Two
things therefore stand beside each other: what each originator says, and what we raised it to ourselves. What counts is
the strictest of them; what an originator lowers never goes below what it said, and what we raised is ours to take back,
never below what an originator says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from coordinator.errors import Refused
from coordinator.markings import Marking, Tlp


@dataclass(frozen=True)
class Standing:
    """How one thing is labelled: `now` what it bears; `said` the label each originator gave it last, by id of the
    organisation (two where one told us what it says is another's, and that is not confirmed: the word of both counts;
    none where it is our own); `held` the strictest of what is in it, where it is the incident."""

    now: Tlp
    said: Mapping[int, Tlp]
    held: Tlp = Tlp.CLEAR

    @property
    def floor(self) -> Tlp:
        """Below this it does not go without a further word of an originator."""
        return max([self.held, *self.said.values()])

    @property
    def raised(self) -> Tlp | None:
        """What we raised it to ourselves; None where the originators' own label is as strict."""
        return self.now if self.now > self.floor else None


def after_word(standing: Standing, originator: int, label: Tlp, *, held: Tlp | None = None) -> Standing:
    """The originator lowered its label to exactly this. It bears the strictest of what the originators say and of what
    we raised it to, so it may bear the same label as before. `held`: what is in it now, where that changed with it.
    Raises Refused where that is no word of its originator, or no lower label than it gave before."""
    if originator not in standing.said:
        raise Refused("This is not theirs: only its originator can lower this label.")
    if label >= standing.said[originator]:
        raise Refused("That is no lower label than they gave it.")
    after = replace(
        standing, said={**standing.said, originator: label}, held=standing.held if held is None else held
    )
    return replace(after, now=max(after.floor, standing.raised or Tlp.CLEAR))


def taken_back(standing: Standing, label: Tlp) -> Standing:
    """What we raised ourselves is taken back, down to this label. Raises Refused where we had raised nothing, or where
    that would be below what an originator says."""
    if standing.raised is None:
        raise Refused("We did not raise this label: only its originator can lower it.")
    if label >= standing.now:
        raise Refused("That is no lower label than it bears now.")
    if label < standing.floor:
        raise Refused(f"Its originator says TLP:{standing.floor.value}: ours goes back to that, not below.")
    return replace(standing, now=label)


def relabelled(marking: Marking, label: Tlp) -> Marking:
    """The marking under this label; its caveats stay. Raises Refused where the policy statement it came with (IEP) is
    stricter: that is the originator's too, and says another label."""
    after = replace(marking, tlp=label)
    if after.effective is not label:
        raise Refused(f"The exchange policy it came with says TLP:{after.effective.value}: not below that.")
    return after
