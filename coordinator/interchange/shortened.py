"""Foreign titles and descriptions may be longer than ours: nothing is cut without saying so."""

from __future__ import annotations

from coordinator.incidents.schema import DESCRIPTION_LENGTH

TITLE_LENGTH = 120


def shortened(title: str, description: str) -> tuple[str, str, list[str]]:
    """(title of at most 120 characters on one line, description of at most 10,000, flags on what was cut).

    A long title stands in full before the description; what is cut there is in the bytes as they came.
    """
    flags = []
    line = " ".join(title.split())
    if len(line) > TITLE_LENGTH:
        description = f"{line}\n\n{description}".rstrip()
        line = line[: TITLE_LENGTH - 1].rstrip() + "…"
        flags.append("title-shortened")
    if len(description) > DESCRIPTION_LENGTH:
        description = description[: DESCRIPTION_LENGTH - 1] + "…"
        flags.append("description-shortened")
    return line, description, flags
