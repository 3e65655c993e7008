"""Pages give way before the engine does: what a web process may take of the database, and the answer when it gets none.

    a web process     each statement 15 s at most; 12 connections, and 5 s of waiting for one (PostgreSQL)
    everything else   neither: workers, the watchdog, migrations and commands are processes and pools of their own
    no answer         503, Retry-After, and nothing of what the database said: that is in the log

SQLite has no time-out for statements. Its one writer at a time is waited for as long as settings say, then it is the
same answer.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import bad_request, server_error

from accounts.api.problems import BUSY_SECONDS, busy, database_away

STATEMENT_SECONDS: Final = 15
WAIT_SECONDS: Final = 5.0
#: More than that many who wait for a connection would only wait in vain: they are told at once.
WAITING: Final = 24
#: Addresses where no person looks.
_PROGRAMS: Final = ("/api/", "/_allauth/", "/webhooks/")


def limit(database: dict[str, Any]) -> None:
    """Set the limits of a web process in its database settings; before the first connection."""
    if not database["ENGINE"].endswith("postgresql"):
        return
    options = database["OPTIONS"]
    given = options.get("options", "")
    options["options"] = f"{given} -c statement_timeout={STATEMENT_SECONDS * 1000}".strip()
    if "pool" in options:
        options["pool"] = {**options["pool"], "timeout": WAIT_SECONDS, "max_waiting": WAITING}


def failed(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: whatever was raised outside of an API view, the middleware included."""
    return _busy(request) if database_away(sys.exc_info()[1]) else server_error(request)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler400`: a session that could not be saved in time counts as deleted there."""
    error: BaseException | None = exception
    while error is not None and not database_away(error):
        error = error.__context__
    return bad_request(request, exception) if error is None else _busy(request)


def _busy(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(_PROGRAMS):
        return busy(request)
    page = render_to_string("accounts/busy.html", {"seconds": BUSY_SECONDS})
    return HttpResponse(page, status=503, headers={"Retry-After": str(BUSY_SECONDS)})
