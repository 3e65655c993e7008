"""The answer of the insights path by breakdown: what was read, and how far reading the rest is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from rest_framework.response import Response

import insights.analytics as analytics
import insights.api.params as params
import insights.api.shapes as shapes
import insights.breakdowns as breakdowns
from accounts.models import AdAccount
from accounts.tenancy import Principal
from insights.tasks import go_on_fetching

#: Trust of an answer that is not there yet, or not all of it.
UNREAD = ("unavailable", "partial")


def answer(
    who: Principal, account: AdAccount, *, level: str, object_id: str, at: datetime, query: Mapping[str, str]
) -> Response:
    """One row per part; 202 while Meta is asked for parts that are not there yet."""
    params.one_of(query, "level", (level,), level)
    params.one_of(query, "time_increment", ("all_days",), "all_days")
    period = params.period(query, account, now=at, most=breakdowns.MOST_DAYS)
    about: dict[str, Any] = {"level": level, "period": period, "now": at}
    about["breakdowns"] = params.parts(query, period, today=analytics.account_today(account, at))
    names = params.metrics(query, who=who, client=account.client)
    found = breakdowns.cells(account, object_id=object_id, metrics=names, **about)
    run = None
    # Who views as a client starts nothing.
    if who.kind != "acting" and breakdowns.wanting(account, **about):
        run = breakdowns.begin(account, **about)
        transaction.on_commit(partial(go_on_fetching.delay, run.pk))
    body = {
        "id": account.act_id if level == "account" else object_id,
        "level": level,
        **shapes.header(found.header),
        "breakdowns": list(found.breakdowns),
        "reading": shapes.progress(breakdowns.standing(run)) if run is not None else None,
        "insights": [shapes.part(level, object_id, period.since, period.until, one) for one in found.cells],
    }
    waits = run is not None and run.state != "failed" and found.header.trust.state in UNREAD
    return Response(body, status=202 if waits else 200)
