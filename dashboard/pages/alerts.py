"""What needs a person, open first, each with what to do about it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

import accounts.alerts as alerts
from accounts.models import Alert
from dashboard.pages.frame import Context, Part, asked_client, page, principal, show

_CLOSED_SHOWN = 30


@page
def listing(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    here = asked_client(request)

    def fill() -> Context:
        past = Alert.objects.for_(who).select_related("client").filter(closed_at__isnull=False)
        if here is not None:
            past = past.filter(client=here)
        return {
            "firing": alerts.open_alerts(who, here),
            "past": list(past.order_by("-closed_at")[:_CLOSED_SHOWN]),
        }

    parts = {"alerts": Part("dashboard/parts/alert_list.html", fill)}
    return show(request, "dashboard/alerts.html", section="alerts", client=here, context={}, parts=parts)
