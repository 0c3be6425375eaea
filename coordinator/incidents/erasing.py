"""What is erased because its time is over leaves a tombstone: its name, its digest, when, and under which rule (I14).

The row of the report stays, with the digest of its bytes; the bytes go, and the key they were sealed under. What an
older backup brings back goes again in the next round.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import SYSTEM
from coordinator.incidents.models import Report, ReportBody
from coordinator.timeline.keys import destroy

#: The rule by which what could not be read goes.
REFUSED = "refused-report-30-days"
#: Of so many at a time: the next round takes the others.
MOST = 200


def erase_refused(tx: Session, *, now: datetime) -> int:
    """Erase the bytes of refused reports whose time is over; how many these were. Done again, nothing is added."""
    query = (
        select(Report, ReportBody.erase_after)
        .join(ReportBody, ReportBody.report_id == Report.id)
        .where(Report.disposition == "invalid", ReportBody.erase_after <= now)
        .order_by(Report.id)
        .limit(MOST)
        .with_for_update(of=Report, skip_locked=True)
    )
    rows = list(tx.execute(query))
    for report, erase_after in rows:
        tx.execute(delete(ReportBody).where(ReportBody.report_id == report.id))
        destroy(tx, report.data_key_id)
        timeline.append(
            tx, "report.erased", "The bytes of a refused report were erased: their time was over.", actor=SYSTEM,
            values={"report": report.public_id, "digest": report.raw_digest, "rule": REFUSED,
                    "kept_until": clock.rfc3339(erase_after) if erase_after else ""},
            about=("report", report.id), exercise=report.exercise,
        )  # fmt: skip
    return len(rows)
