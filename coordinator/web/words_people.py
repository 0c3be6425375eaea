"""What tokens may do, and the changes that two persons make: names on pages, as in `words`."""

from __future__ import annotations

from flask_babel import lazy_gettext as _

SCOPE = {
    "report": _("File reports"),
    "read": _("Read incidents and the directory"),
    "tasks": _("Complete tasks"),
    "coordinate": _("Change incidents, alert partners"),
    "decide": _("Approve or refuse releases"),
    "admin": _("Administer"),
}
#: Changes that two persons make.
CHANGE = {
    "endpoint": _("Endpoint"),
    "key": _("Key of an endpoint"),
    "http-host": _("Service that playbooks call"),
    "organisation": _("Organisation"),
    "contact": _("Point of contact"),
    "agreement": _("Agreement"),
    "consent": _("Consent"),
    "account": _("Account"),
    "factor-reset": _("Reset of a second factor, account"),
    "setting": _("Setting of the installation"),
}
CHANGE_STATE = {
    "waiting": (_("Waiting"), "busy"),
    "accepted": (_("Accepted"), "good"),
    "refused": (_("Refused"), "bad"),
    "withdrawn": (_("Withdrawn"), "plain"),
    "overtaken": (_("Overtaken"), "plain"),
    "expired": (_("Expired"), "plain"),
}

