"""Who may do what: one table of rights by role, what a token's scope opens of it, and who may approve a release.

Pure. A right says that a role may do something at all; need-to-know (restricted incidents, exercises) is asked besides.
The administrator clears nothing and sees no case content; the auditor reads everything and changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from coordinator.markings import Tlp, UnknownLabel, parse_tlp


class Role(StrEnum):
    LIAISON_OFFICER = "liaison-officer"
    COORDINATOR = "coordinator"
    DUTY_OFFICER = "duty-officer"
    RELEASE_AUTHORITY = "release-authority"
    LEGAL_ADVISER = "legal-adviser"
    AGREEMENT_MANAGER = "agreement-manager"
    EXERCISE_CONTROLLER = "exercise-controller"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    PARTNER_USER = "partner-user"
    PARTNER_SYSTEM = "partner-system"
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    """Named for the act. The comment names the pages and calls that declare it."""

    FILE_REPORT = "file-report"  # the form and its drafts · POST /reports
    READ_INCIDENTS = "read-incidents"  # board, incident, search · GET /incidents and below, live
    SEE_RESTRICTED = "see-restricted"  # restricted incidents without being named in them
    ADD_NOTE = "add-note"  # POST …/notes
    CHANGE_INCIDENT = "change-incident"  # PATCH, links, who may see a restricted incident
    CHANGE_STATUS = "change-status"  # POST …/status; accepting triage; reopening
    COMPLETE_TASK = "complete-task"  # my tasks · POST /tasks/{id}/complete
    MANAGE_RUNS = "manage-runs"  # start, pause, cancel a playbook run
    MEET_OBLIGATION = "meet-obligation"  # begin a duty, give its instant, record its submission
    SET_OBLIGATION_ASIDE = "set-obligation-aside"  # waive it, or say that it does not apply; a later deadline
    SIGN_RULES = "sign-rules"  # stand for a version of a clock rule, which makes it binding
    REQUEST_RELEASE = "request-release"  # POST …/alerts; withdraw, redeliver, note an answer given by voice
    DECIDE = "decide"  # POST /decisions/{id}/approve and /refuse: see `may_approve`
    HANDLE_QUARANTINE = "handle-quarantine"  # the queue of quarantined reports; "this is real"
    READ_PARTNERS = "read-partners"  # organisations, communities, points of contact
    MANAGE_PARTNERS = "manage-partners"  # the same, changed
    MANAGE_ENDPOINTS = "manage-endpoints"  # URLs and keys: rotate, revoke, disable
    REVOKE_KEY = "revoke-key"  # stop a partner's key at once; making one is MANAGE_ENDPOINTS
    READ_AGREEMENTS = "read-agreements"
    MANAGE_AGREEMENTS = "manage-agreements"  # agreements and consents
    MANAGE_PLAYBOOKS = "manage-playbooks"  # the catalogue: import, publish
    READ_PLAYBOOKS = "read-playbooks"
    MANAGE_EXERCISES = "manage-exercises"
    READ_RECORD = "read-record"  # the record beyond single incidents; verify
    EXPORT = "export"  # files out of the system
    READ_USERS = "read-users"
    MANAGE_USERS = "manage-users"  # invite, deactivate, restore, reset a factor
    CONFIRM_CHANGE = "confirm-change"  # waiting changes: the second person; see changes/rules.may_answer
    HAND_OVER = "hand-over"  # everything a leaving person has, given to another; closes the account for good
    SUSPEND_USER = "suspend-user"  # stop an account at once; restoring it is MANAGE_USERS
    READ_OPERATIONS = "read-operations"  # health in detail, settings, dead letters without content
    RETRY_JOBS = "retry-jobs"  # try again what was given up
    STOP_SENDING = "stop-sending"  # put all sending on hold
    RESUME_SENDING = "resume-sending"  # lift a hold, after a stop, a restore or a clock that jumped
    SEE_PARTNER_VIEW = "see-partner-view"  # what was released to one's own organisation, nothing else


_DESK = {Right.READ_INCIDENTS, Right.ADD_NOTE, Right.COMPLETE_TASK, Right.READ_PARTNERS, Right.READ_PLAYBOOKS}
_LEAD = _DESK | {
    Right.FILE_REPORT, Right.CHANGE_INCIDENT, Right.CHANGE_STATUS, Right.MANAGE_RUNS, Right.REQUEST_RELEASE,
    Right.HANDLE_QUARANTINE, Right.REVOKE_KEY, Right.READ_AGREEMENTS, Right.STOP_SENDING, Right.MEET_OBLIGATION,
}  # fmt: skip

RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.LIAISON_OFFICER: frozenset(_DESK | {Right.FILE_REPORT}),
    Role.COORDINATOR: frozenset(
        _LEAD | {Right.DECIDE, Right.MANAGE_PARTNERS, Right.MANAGE_PLAYBOOKS, Right.EXPORT, Right.READ_USERS,
                 Right.CONFIRM_CHANGE, Right.HAND_OVER, Right.SET_OBLIGATION_ASIDE,
                 Right.RESUME_SENDING}
    ),
    Role.DUTY_OFFICER: frozenset(_LEAD | {Right.SEE_RESTRICTED, Right.SUSPEND_USER, Right.READ_USERS}),
    Role.RELEASE_AUTHORITY: frozenset(
        _DESK | {Right.DECIDE, Right.READ_AGREEMENTS, Right.EXPORT, Right.READ_USERS, Right.CONFIRM_CHANGE,
                 Right.STOP_SENDING, Right.RESUME_SENDING}
    ),
    Role.LEGAL_ADVISER: frozenset(
        _DESK | {Right.DECIDE, Right.READ_AGREEMENTS, Right.CONFIRM_CHANGE, Right.MEET_OBLIGATION,
                 Right.SET_OBLIGATION_ASIDE, Right.SIGN_RULES}
    ),
    Role.AGREEMENT_MANAGER: frozenset(
        {Right.COMPLETE_TASK, Right.READ_PARTNERS, Right.READ_AGREEMENTS, Right.MANAGE_AGREEMENTS,
         Right.CONFIRM_CHANGE}
    ),
    Role.EXERCISE_CONTROLLER: frozenset(_DESK | {Right.FILE_REPORT, Right.MANAGE_EXERCISES}),
    Role.ANALYST: frozenset(_DESK | {Right.FILE_REPORT}),
    Role.AUDITOR: frozenset(
        {Right.READ_INCIDENTS, Right.SEE_RESTRICTED, Right.READ_PARTNERS, Right.READ_AGREEMENTS, Right.READ_PLAYBOOKS,
         Right.READ_RECORD, Right.READ_USERS, Right.READ_OPERATIONS}
    ),
    Role.PARTNER_USER: frozenset({Right.SEE_PARTNER_VIEW}),
    Role.PARTNER_SYSTEM: frozenset(),
    Role.ADMINISTRATOR: frozenset(
        {Right.READ_PARTNERS, Right.MANAGE_PARTNERS, Right.MANAGE_ENDPOINTS, Right.REVOKE_KEY, Right.READ_USERS,
         Right.MANAGE_USERS, Right.CONFIRM_CHANGE, Right.HAND_OVER, Right.SUSPEND_USER, Right.RETRY_JOBS,
         Right.READ_OPERATIONS, Right.READ_PLAYBOOKS}
    ),
}  # fmt: skip

CLEARING = frozenset({Right.DECIDE})
ADMINISTERING = frozenset(
    {Right.MANAGE_USERS, Right.MANAGE_PARTNERS, Right.MANAGE_ENDPOINTS, Right.MANAGE_AGREEMENTS, Right.MANAGE_PLAYBOOKS,
     Right.MANAGE_EXERCISES, Right.EXPORT, Right.CONFIRM_CHANGE, Right.HAND_OVER,
     Right.RESUME_SENDING}
)  # fmt: skip
CASE_CONTENT = frozenset(
    {Right.FILE_REPORT, Right.READ_INCIDENTS, Right.SEE_RESTRICTED, Right.ADD_NOTE, Right.CHANGE_INCIDENT,
     Right.CHANGE_STATUS, Right.COMPLETE_TASK, Right.MANAGE_RUNS, Right.REQUEST_RELEASE, Right.HANDLE_QUARANTINE,
     Right.MEET_OBLIGATION, Right.SET_OBLIGATION_ASIDE, Right.EXPORT, Right.READ_RECORD}
)  # fmt: skip
READING = frozenset(right for right in Right if right.value.startswith(("read-", "see-")))


def may(role: Role, right: Right) -> bool:
    """Whether the role may do this at all."""
    return right in RIGHTS[role]


def needs_second_factor(role: Role) -> bool:
    """Every role that clears or administers."""
    return not RIGHTS[role].isdisjoint(CLEARING | ADMINISTERING)


def asks_second_factor(right: Right) -> bool:
    """Whether this act needs a session opened with a second factor, whatever the role."""
    return right in CLEARING | ADMINISTERING


# ---------------------------------------------------------------- scopes of API tokens


class Scope(StrEnum):
    REPORT = "report"
    READ = "read"
    TASKS = "tasks"
    COORDINATE = "coordinate"
    DECIDE = "decide"
    ADMIN = "admin"


SCOPES: Mapping[Scope, frozenset[Right]] = {
    Scope.REPORT: frozenset({Right.FILE_REPORT}),
    Scope.READ: READING,
    Scope.TASKS: frozenset({Right.COMPLETE_TASK, Right.MEET_OBLIGATION}),
    Scope.COORDINATE: frozenset(
        {Right.CHANGE_INCIDENT, Right.CHANGE_STATUS, Right.ADD_NOTE, Right.REQUEST_RELEASE, Right.MANAGE_RUNS,
         Right.HANDLE_QUARANTINE, Right.REVOKE_KEY, Right.STOP_SENDING, Right.MANAGE_PLAYBOOKS, Right.MEET_OBLIGATION}
    ),
    Scope.DECIDE: frozenset({Right.DECIDE, Right.CONFIRM_CHANGE, Right.SET_OBLIGATION_ASIDE, Right.SIGN_RULES}),
    Scope.ADMIN: ADMINISTERING | {Right.RETRY_JOBS, Right.SUSPEND_USER, Right.REVOKE_KEY},
}  # fmt: skip

# Without one of these the rest of the scope is crumbs: a role that may only add notes does not coordinate.
_OPENED_BY: Mapping[Scope, frozenset[Right]] = {
    Scope.REPORT: SCOPES[Scope.REPORT],
    Scope.READ: frozenset({Right.READ_INCIDENTS, Right.READ_PARTNERS, Right.SEE_PARTNER_VIEW}),
    Scope.TASKS: SCOPES[Scope.TASKS],
    Scope.COORDINATE: frozenset({Right.CHANGE_INCIDENT}),
    Scope.DECIDE: frozenset({Right.DECIDE}),
    Scope.ADMIN: frozenset({Right.MANAGE_USERS, Right.MANAGE_ENDPOINTS, Right.MANAGE_AGREEMENTS}),
}


def scopes_allowed(role: Role) -> frozenset[Scope]:
    """The scopes a token of such a user may carry."""
    return frozenset(scope for scope, rights in _OPENED_BY.items() if not RIGHTS[role].isdisjoint(rights))


def rights_of(role: Role, scopes: Iterable[Scope] | None = None) -> frozenset[Right]:
    """What a request may do: in a session (`scopes` None) the role's rights, through a token never more than they."""
    if scopes is None:
        return RIGHTS[role]
    return RIGHTS[role] & frozenset().union(*(SCOPES[scope] for scope in scopes))


# ---------------------------------------------------------------- approving a referred release

_ANY_LEAD = frozenset({Role.COORDINATOR, Role.RELEASE_AUTHORITY})
_RELEASE = frozenset({Role.RELEASE_AUTHORITY})
_LEGAL = frozenset({Role.LEGAL_ADVISER})
_ONLY_RELEASE = frozenset({"R-TWO-PERSON", "R-FILE-UNCLEANED", "R-FILE-UNREAD"})
_UP_TO_AMBER = frozenset({"R-STALE-POC", "R-IEP-DATES"})


def approvers(reasons: Collection[str], effective_tlp: str, info_category: str) -> frozenset[Role]:
    """The roles that may approve a decision with these reasons; nobody where it is denied or needs no approval.

    A coordinator approves up to AMBER. STRICT, RED, onward transfer and attribution are the release authority's: that
    is what R-TWO-PERSON stands for; so are files that nobody has looked into. As an approval lifts these, nobody else
    may approve while one is among the reasons.
    R-LEGAL alone is the legal adviser's. That it is another person than the requester (I15) is asked besides.
    """
    if not reasons or any(not reason.startswith("R-") for reason in reasons):
        return frozenset()
    if _ONLY_RELEASE & set(reasons):
        return _RELEASE
    legal = _LEGAL if "R-LEGAL" in reasons else frozenset()
    others = frozenset(reasons) - {"R-LEGAL"}
    if not others:
        return legal
    low = _label(effective_tlp) <= Tlp.AMBER and info_category != "attribution-assessment"
    return legal | (_ANY_LEAD if low and others <= _UP_TO_AMBER else _RELEASE)


def may_approve(role: Role, reasons: Collection[str], effective_tlp: str, info_category: str) -> bool:
    """Whether this role may approve a decision that was referred: see `approvers`."""
    return role in approvers(reasons, effective_tlp, info_category)


def _label(effective_tlp: str) -> Tlp:
    try:
        return parse_tlp(effective_tlp)
    except UnknownLabel:
        return Tlp.RED
