"""The connection doctor: sixteen checks of one client, made when somebody asks for them.

open the page -> it names the checks and asks Meta nothing      ?run=1, or its script's ?part=checks -> they are made
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse

import accounts.access as access
import strategies.doctor as doctor
from accounts.diagnosis import GROUPS, Check, State, worst
from accounts.errors import Forbidden
from accounts.models import Client
from accounts.tenancy import Principal
from accounts.troubles import BROWSER
from dashboard.pages.frame import Context, Part, asked_client, clients, page, principal, show
from metaads.clock import now

#: State -> (what it is called, tone of its badge).
_WORDS = {
    State.OK: ("ok", "ok"),
    State.WARN: ("look at it", "warn"),
    State.FAIL: ("fails", "bad"),
    State.UNKNOWN: ("not known", "hollow"),
}


@dataclass(frozen=True)
class Shown:
    """A check with its badge."""

    check: Check
    words: str
    tone: str


@page
def one(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    here = asked_client(request)
    may = [row for row in clients(who) if access.may(who, "sync", row)]
    if here is not None:
        access.require(who, "sync", here)
    elif not may:
        raise Forbidden("Your role may not ask the doctor: it calls Meta.", code="may_not_sync")
    whole = here is None and who.everywhere and request.GET.get("all") == "1"
    asked = request.GET.get("run") == "1" or request.GET.get("part") == "checks"
    parts = {}
    if asked and (here is not None or whole):
        parts["checks"] = Part("dashboard/parts/checks.html", lambda: _checks(who, here))
    context: Context = {
        "doctor_clients": [] if here or whole else may,
        "doctor_everything": who.everywhere,
        "doctor_query": "all=1" if whole else f"client={here.slug}" if here else "",
        "public_url": settings.PUBLIC_URL,
        "topics": [(group, [one for one in doctor.manual() if one.group == group]) for group in GROUPS],
    }
    return show(
        request, "dashboard/doctor.html", section="connections", client=here, context=context, parts=parts
    )


def _checks(who: Principal, here: Client | None) -> Context:
    found = doctor.checks(who, client=here, now=now())
    groups = [
        (group, [Shown(check, *_WORDS[check.state]) for check in found if check.group == group])
        for group in GROUPS
    ]
    return {
        "groups": groups,
        "worst": worst(found).value,
        "counts": {state.value: sum(check.state is state for check in found) for state in State},
        "browser_key": BROWSER.key,
        "browser_fixes": [(name, trouble.fix) for name, trouble in BROWSER.troubles.items()],
        "checked_at": now(),
        "public_url": settings.PUBLIC_URL,
    }
