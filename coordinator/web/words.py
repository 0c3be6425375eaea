"""What codes are called on pages. Codes are stored and sent; these names are for people and can be translated.

Each table gives a name and a tone (new, busy, good, warn, bad or plain) for the badge: shape and text say the same.
"""

from __future__ import annotations

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from coordinator import vocabulary
from coordinator.web.words_people import CHANGE, CHANGE_STATE, SCOPE
from coordinator.web.words_sharing import ANSWER, ANSWER_BUTTON, CAUSE, CONSENT, CONSENT_REQUEST, PART, RECALL, THANKS
from coordinator.web.words_sharing import IEP as IEP
from coordinator.web.words_sharing import LABEL_WORD as LABEL_WORD

STATUS = {
    "reported": (_("Reported"), "new"),
    "triage": (_("Triage"), "busy"),
    "active": (_("Active"), "busy"),
    "monitoring": (_("Monitoring"), "busy"),
    "resolved": (_("Resolved"), "good"),
    "closed": (_("Closed"), "good"),
    "rejected": (_("Rejected"), "plain"),
    "duplicate": (_("Duplicate"), "plain"),
}
#: What moving to a status does, on the button and in words under it.
MOVES = {
    "triage": (_("Start triage"), _("You look at it now. Nothing is told to partners yet.")),
    "active": (_("Accept"), _("It is ours to coordinate: playbooks that tell partners may start.")),
    "monitoring": (_("Move to monitoring"), _("The work is done and we keep watching.")),
    "resolved": (_("Resolve"), _("The incident is over. Blocking tasks must be finished first.")),
    "closed": (_("Close"), _("Nothing is open any more. Everyone who was told is told of the closure.")),
    "rejected": (_("Reject"), _("It is not an incident, or not ours. A reason is recorded.")),
    "duplicate": (_("Mark as duplicate"), _(
        "Another incident is the one we go on with. Playbooks, tasks and unsent alerts here stand still or move there; "
        "it can be undone.")),
}
NO_DUPLICATE = (_("It is no duplicate"), _("It goes on as it was: its playbooks, tasks and alerts come back."))
REOPEN = (_("Reopen"), _("It goes on. A reason is recorded."))
OUTLOOK = {"improving": _("Improving"), "stable": _("Stable"), "worsening": _("Worsening")}
OUTCOME = {"successful": (_("Done"), "good"), "failed": (_("Failed"), "bad"), "cancelled": (_("Cancelled"), "plain"),
           "set-aside": (_("Set aside"), "plain")}  # fmt: skip
TASK_STATE = {"open": (_("Open"), "busy"), "done": (_("Done"), "good"), "cancelled": (_("Cancelled"), "plain"),
              "set-aside": (_("Set aside"), "plain")}  # fmt: skip
TASK_KIND = {
    "task": _("Task"),
    "decision": _("Decision"),
    "approval": _("Approval"),
    "voice": _("Call to make"),
    "notice": _("Notice"),
}
ALERT_STATE = {
    "queued": (_("Queued"), "new"),
    "handed-over": (_("Handed over"), "busy"),
    "delivered": (_("Delivered"), "busy"),
    "acknowledged": (_("Acknowledged"), "good"),
    "withheld": (_("Withheld"), "warn"),
    "failed": (_("Failed"), "bad"),
    "withdrawn": (_("Withdrawn"), "plain"),
}
ALERT_KIND = {
    "receipt": _("Receipt"),
    "initial": _("First alert"),
    "update": _("Update"),
    "correction": _("Correction"),
    "closure": _("Closure"),
    "recall": _("Recall"),
    "request": _("Request"),
    "check": _("Communication check"),
    "call-our-desk": _("Please call our desk"),
    "contact-change": _("Change of how we reach you"),
    "automatic": _("Request to a service"),
    "notice": _("Notice"),
}
DELIVERY_STATE = ALERT_STATE | {"cancelled": (_("Stopped"), "plain"), "dead": (_("Given up"), "bad")}
ATTEMPT = {
    "delivered": _("Delivered"),
    "handed-over": _("Handed over"),
    "retry": _("Failed, will be tried again"),
    "refused": _("Refused by the other side"),
    "gone": _("The address is gone"),
    "withheld": _("Withheld"),
    "bounced": _("Came back"),
}
SURENESS = {
    "answered": _("They answered"),
    "delivered": _("Delivered"),
    "handed-over": _("Handed over"),
    "perhaps": _("Perhaps: no try was confirmed"),
}
ASSURANCE = {
    "link": _("holder of the link"),
    "session": _("signed in"),
    "signed": _("signed by their system"),
    "noted-by-officer": _("noted by our officer"),
}
RESULT = {
    "permit": (_("Permitted"), "good"),
    "refer": (_("Needs a second person"), "warn"),
    "deny": (_("Refused"), "bad"),
}
RELEASE_STATE = {
    "draft": (_("Draft"), "plain"),
    "evaluated": (_("Evaluated"), "busy"),
    "awaiting-approval": (_("Waits for a second person"), "warn"),
    "approved": (_("Cleared, nothing has left yet"), "busy"),
    "refused": (_("Refused"), "bad"),
    "released": (_("Released"), "good"),
    "expired": (_("The clearance ran out"), "warn"),
    "withdrawn": (_("Withdrawn"), "plain"),
}
RUN_STATE = {
    "running": (_("Running"), "busy"),
    "waiting": (_("Waiting"), "busy"),
    "paused": (_("Paused"), "warn"),
    "needs-attention": (_("Needs attention"), "bad"),
    "completed": (_("Completed"), "good"),
    "failed": (_("Failed"), "bad"),
    "cancelled": (_("Cancelled"), "plain"),
}
STEP_STATE = {
    "entered": (_("Started"), "busy"),
    "begun": (_("Started"), "busy"),
    "waiting": (_("Waiting"), "busy"),
    "succeeded": (_("Done"), "good"),
    "failed": (_("Failed"), "bad"),
    "timed-out": (_("Timed out"), "bad"),
    "skipped": (_("Skipped"), "plain"),
    "branch-ended": (_("Ended"), "good"),
    "reminded": (_("Reminded"), "busy"),
    "escalated": (_("Others were brought in"), "warn"),
    "loop": (_("Once more"), "busy"),
    "": (_("Not reached"), "plain"),
}
STEP_KIND = {
    "task": _("Task"),
    "approval": _("Approval"),
    "decision": _("Decision"),
    "alert": _("Alert"),
    "share": _("Sharing decision"),
    "wait": _("Wait"),
    "status": _("Status"),
    "obligation": _("Obligation"),
    "assess": _("Assessment"),
    "http-api": _("Automatic"),
    "playbook": _("Playbook"),
    "set": _("Automatic"),
}
STEP_TYPE = {
    "action": _("Step"),
    "if-condition": _("If"),
    "while-condition": _("While"),
    "switch-condition": _("Depending on"),
    "parallel": _("All of these"),
    "playbook-action": _("Playbook"),
    "start": _("Start"),
    "end": _("End"),
}
AGREEMENT_STATUS = {
    "draft": (_("Not signed"), "warn"),
    "signed": (_("Signed, not yet in force"), "new"),
    "provisional": (_("Provisionally in force"), "good"),
    "in-force": (_("In force"), "good"),
    "suspended": (_("Suspended"), "warn"),
    "expired": (_("Expired"), "bad"),
    "terminated": (_("Terminated"), "bad"),
    "superseded": (_("Superseded"), "plain"),
}
TRI_STATE = {"yes": _("Yes"), "no": _("No"), "unknown": _("Not known")}
VIA = {
    "form": _("our form"),
    "webhook": _("signed webhook"),
    "email": _("e-mail"),
    "voice": _("voice, entered by an officer"),
    "import": _("import"),
    "api": _("programming interface"),
}
INSTANTS = {
    "occurred_at": _("Happened"),
    "detected_at": _("Detected"),
    "noticed_at": _("Noticed"),
    "aware_at": _("We became aware"),
    "ended_at": _("Ended"),
}
#: What the clocks of duties count from, beside the instants of an incident.
BASIS = INSTANTS | {
    "received_at": _("Received"), "classified_at": _("Classified"), "material_at": _("Found to be material"),
    "believed_at": _("Believed to have happened"), "assessed_at": _("Assessed"), "paid_at": _("Paid"),
    "cross_border_at": _("Known to cross a border"), "high_risk_at": _("High risk known"),
    "fix_available_at": _("Fix available"), "requested_until": _("Time that the request names"),
}  # fmt: skip
#: The facts on which sources may differ, as a person calls them, and the table of names for their codes.
FACTS = {
    "occurred_at": INSTANTS["occurred_at"], "detected_at": INSTANTS["detected_at"],
    "noticed_at": INSTANTS["noticed_at"], "severity": _("Severity"), "classification": _("Type"),
    "sectors": _("Sectors"), "states_affected": _("States"), "suspected_malicious": _("Malicious"),
    "cross_border": _("Cross-border"), "humanitarian_flags": _("Humanitarian flags"),
}  # fmt: skip
FACT_TABLES = {
    "classification": "classification", "sectors": "sector", "states_affected": "country",
    "suspected_malicious": "tri-state", "cross_border": "tri-state", "humanitarian_flags": "flag",
}  # fmt: skip
ITEM_KIND = {
    "title": _("Title"),
    "summary": _("Summary"),
    "details": _("Details"),
    "note": _("Note"),
    "attachment": _("Attachment"),
    "assessment": _("Assessment"),
    "task-result": _("Task result"),
    "partner-reply": _("Partner's reply"),
    "alert-title": _("Alert title"),
    "alert-body": _("Alert text"),
    "alert-field": _("Part of an alert"),
}
HOLD_KIND = {
    "task": _("Task"),
    "alert": _("Alert"),
    "run": _("Playbook run"),
    "clearance": _("Clearance"),
    "obligation": _("Obligation"),
    "second-look": _("Second look"),
    "decision": _("Clearance"),
}
#: Who may have it, in plain words for whoever writes the label. The label itself is never translated.
TLP_MEANING = {
    "CLEAR": _("Anyone may have it. It may be published."),
    "GREEN": _("Our community may have it: partners and peers. Not for public channels."),
    "AMBER": _("The recipient's organisation and its clients, where they need to know."),
    "AMBER+STRICT": _("The recipient's organisation only, where people need to know."),
    "RED": _("Only the persons you name. Nobody else, not even in their organisation."),
}
# After the levels of the Cyber Incident Severity Schema (PPD-41 annex, 2016), in our words.
SEVERITY_MEANING = {
    5: _("Lives, essential services on a wide scale or the stability of a government are in danger now."),
    4: _("Great harm is likely: to health or safety, national or economic security, foreign relations or rights."),
    3: _("Harm that can be shown is likely, to one of these."),
    2: _("One of these may be harmed."),
    1: _("Harm to any of these is unlikely."),
    0: _("Not confirmed, or of no consequence."),
}
#: Why a report waits in quarantine.
QUARANTINE = {
    "sender-inactive": _("Its sender is no longer a partner"),
    "exercise-mismatch": _("It names another exercise than its way in is for"),
    "exercise-unknown": _("It names an exercise that is not running"),
    "exercise-not-enrolled": _("It names an exercise in which its sender does not take part"),
    "source-mismatch": _("The envelope names another source than before"),
    "originator-unknown": _("It names an originator that we do not know"),
    "originator-is-us": _("It names us as the originator"),
    "nothing-to-attach": _("It ends something that we never heard of"),
    "flood": _("More new incidents than this way in may open in an hour"),
}
QUARANTINE_STATE = {
    "waiting": (_("Waiting"), "warn"),
    "released": (_("Released"), "good"),
    "attached": (_("Attached"), "good"),
    "refused": (_("Refused"), "bad"),
    "refiled": (_("Filed as real"), "good"),
}
DISPOSITION = {
    "received": _("Not read yet"),
    "accepted": _("Taken"),
    "update": _("Attached to an incident"),
    "duplicate": _("The same again"),
    "quarantined": _("In quarantine"),
    "rejected": _("Refused by a person"),
    "refiled": _("Filed as real"),
    "invalid": _("Refused: not valid"),
    "refused": _("Refused: above unclassified"),
}
DUTY = {
    "armed": (_("Not running yet"), "new"),
    "running": (_("Running"), "busy"),
    "due-soon": (_("Due soon"), "warn"),
    "overdue": (_("Overdue"), "bad"),
    "met": (_("Met"), "good"),
    "met-late": (_("Met late"), "warn"),
    "waived": (_("Waived"), "plain"),
    "not-applicable": (_("Does not apply"), "plain"),
    "superseded": (_("Another took its place"), "plain"),
}
#: What an assessment is made by, what it says, and how sure its author is.
ASSESSMENT_METHOD = {
    "manual": _("by a person's judgement"),
    "facts": _("from the facts of the incident"),
    "ciss": _("by the Cyber Incident Severity Schema"),
    "likelihood-and-confidence": _("by likelihood and confidence"),
}
ASSESSED = {
    "outlook": _("Outlook"),
    "confidence": _("Confidence"),
    "likelihood": _("Likelihood"),
    "suggested": _("Suggested severity"),
    "reason": _("Why, and on what it rests"),
}
CONFIDENCE = {"low": _("Low"), "moderate": _("Moderate"), "high": _("High")}
ASSESSMENT = {
    "asked": (_("Asked for"), "busy"),
    "proposed": (_("Proposed"), "warn"),
    "accepted": (_("Accepted"), "good"),
    "given-up": (_("Given up"), "plain"),
    "rejected": (_("Turned down"), "plain"),
}
EXERCISE_STATE = {
    "planned": (_("Planned"), "plain"),
    "running": (_("Running"), "busy"),
    "over": (_("Over"), "plain"),
}

_TABLES: dict[str, dict[str, tuple[object, str]]] = {
    "status": STATUS,
    "task": TASK_STATE,
    "outcome": OUTCOME,
    "alert": ALERT_STATE,
    "delivery": DELIVERY_STATE,
    "result": RESULT,
    "release": RELEASE_STATE,
    "run": RUN_STATE,
    "step": STEP_STATE,
    "answer": ANSWER,
    "agreement": AGREEMENT_STATUS,
    "change-state": CHANGE_STATE,
    "quarantine": QUARANTINE_STATE,
    "exercise": EXERCISE_STATE,
    "duty": DUTY,
    "assessment": ASSESSMENT,
    "consent": CONSENT,
    "consent-request": CONSENT_REQUEST,
    "recall": RECALL,
    "label-word": LABEL_WORD,
}
_NAMES: dict[str, dict[str, object]] = {
    "outlook": OUTLOOK,
    "task-kind": TASK_KIND,
    "alert-kind": ALERT_KIND,
    "attempt": ATTEMPT,
    "sureness": SURENESS,
    "assurance": ASSURANCE,
    "step-kind": STEP_KIND,
    "step-type": STEP_TYPE,
    "tri-state": TRI_STATE,
    "via": VIA,
    "item-kind": ITEM_KIND,
    "part": PART,
    "hold-kind": HOLD_KIND,
    "scope": SCOPE,
    "instant": INSTANTS,
    "basis": BASIS,
    "change": CHANGE,
    "answer-button": ANSWER_BUTTON,
    "thanks": THANKS,
    "cause": CAUSE,
    "quarantine-reason": QUARANTINE,
    "disposition": DISPOSITION,
    "assessment-method": ASSESSMENT_METHOD,
    "assessed": ASSESSED,
    "confidence": CONFIDENCE,
}
_LISTS = {
    "role": vocabulary.ROLES,
    "sector": vocabulary.SECTORS,
    "country": vocabulary.COUNTRIES,
    "classification": vocabulary.INCIDENT_TYPES,
    "flag": vocabulary.HUMANITARIAN_FLAGS,
    "purpose": vocabulary.PURPOSES,
    "category": vocabulary.INFO_CATEGORIES,
    "organisation-kind": vocabulary.ORGANISATION_KINDS,
    "contact-kind": vocabulary.CONTACT_KINDS,
    "channel": vocabulary.CHANNEL_KINDS,
    "agreement-kind": vocabulary.AGREEMENT_KINDS,
    "legal-status": vocabulary.LEGAL_STATUSES,
    "onward": vocabulary.ONWARD_SHARING,
    "personal-data": vocabulary.PERSONAL_DATA,
}


def state(table: str, code: str | None) -> tuple[str, str]:
    """Name and tone of a state's code; a code that is not known here is shown as it is."""
    name, tone = _TABLES[table].get(code or "", (code or gettext("Not known"), "plain"))
    return str(name), tone


def name(table: str, code: object) -> str:
    """The name of a code in one of our tables or the field's lists; an unknown code is shown as it is."""
    if table in _NAMES:
        return str(_NAMES[table].get(str(code), code))
    known = _LISTS[table]
    return known.label(code) if code in known else str(code)  # type: ignore[arg-type]


def severity(level: int | None) -> str:
    """`4 Severe`; words where nobody has judged it."""
    return gettext("Not assessed") if level is None else f"{level} {vocabulary.SEVERITIES.label(level)}"
