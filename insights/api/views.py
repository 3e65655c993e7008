"""The brief's reading paths: performance, campaigns, ad sets, ads, insights, realtime; and the metric registry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import campaigns.queries as queries
import insights.analytics as analytics
import insights.api.params as params
import insights.api.parts as parts
import insights.api.shapes as shapes
import insights.poll as poll
import insights.samples as samples
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS
from accounts.errors import NotFound
from accounts.models import AdAccount
from insights.metrics import ALIASES, METRICS
from insights.windows import DAY, Period
from metaads.clock import now

LEVELS = ("account", "campaign", "adset", "ad")


class Performance(TenantAPIView):
    @extend_schema(
        summary="Account performance summary",
        parameters=[*params.PERIOD, params.METRIC_NAMES, params.ATTRIBUTION],
        responses={200: shapes.PerformanceShape, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> Response:
        """One period's numbers, and those of the same number of days before it."""
        account, at = self.ad_account(account_id), now()
        period = params.period(request.query_params, account, now=at)
        before = Period(period.since - DAY * period.days, period.since - DAY)
        names = params.metrics(request.query_params, who=self.principal, client=account.client)
        window = params.attribution(request.query_params)
        found, previous = (
            analytics.totals(
                account,
                since=one.since,
                until=one.until,
                metrics=names,
                now=at,
                attribution=window,
            )
            for one in (period, before)
        )
        return Response(
            {
                "account_id": account.act_id,
                "name": account.name,
                **shapes.header(found.header),
                **shapes.result(found.result),
                **shapes.numbers(found.values),
                "previous": shapes.numbers(previous.values),
            }
        )


class Objects(TenantAPIView):
    """Stored objects with their numbers of a period."""

    level = "campaign"

    def answer(
        self, request: Request, account: AdAccount, rows: list[Any], key: str, head: dict[str, str]
    ) -> Response:
        at = now()
        period = params.period(request.query_params, account, now=at)
        found = analytics.table(
            account,
            level=self.level,
            since=period.since,
            until=period.until,
            object_ids=[row.meta_id for row in rows],
            metrics=params.metrics(request.query_params, who=self.principal, client=account.client),
            now=at,
            attribution=params.attribution(request.query_params),
        )
        values = {row.object_id: row for row in found.rows}
        shape = {"campaign": shapes.campaign, "adset": shapes.ad_set, "ad": shapes.ad}[self.level]
        shaped = [shape(row, values[row.meta_id]) for row in rows]
        return Response({**head, **shapes.header(found.header), key: shaped})


class Campaigns(Objects):
    @extend_schema(
        summary="Campaigns of an account",
        parameters=[*params.PERIOD, params.METRIC_NAMES, params.ATTRIBUTION],
        responses={200: shapes.CampaignsShape, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> Response:
        account = self.ad_account(account_id)
        rows = list(queries.campaigns(self.principal, ad_account=account))
        return self.answer(request, account, rows, "campaigns", {"account_id": account.act_id})


class AdSets(Objects):
    level = "adset"

    @extend_schema(
        summary="Ad sets of a campaign",
        parameters=[*params.PERIOD, params.METRIC_NAMES, params.ATTRIBUTION],
        responses={200: shapes.AdSetsShape, **ERRORS},
    )
    def get(self, request: Request, campaign_id: str) -> Response:
        campaign = queries.campaign(self.principal, campaign_id)
        rows = list(queries.ad_sets(self.principal, campaign=campaign))
        return self.answer(request, campaign.ad_account, rows, "ad_sets", {"campaign_id": campaign.meta_id})


class Ads(Objects):
    level = "ad"

    @extend_schema(
        summary="Ads of an ad set",
        parameters=[*params.PERIOD, params.METRIC_NAMES, params.ATTRIBUTION],
        responses={200: shapes.AdsShape, **ERRORS},
    )
    def get(self, request: Request, adset_id: str) -> Response:
        ad_set = queries.ad_set(self.principal, adset_id)
        rows = list(queries.ads(self.principal, ad_set=ad_set))
        return self.answer(request, ad_set.ad_account, rows, "ads", {"adset_id": ad_set.meta_id})


class OfObject(TenantAPIView):
    """Paths whose id may be an ad account, campaign, ad set or ad."""

    def object_(self, object_id: str) -> tuple[AdAccount, str, str]:
        """The account, the object's own level and Meta id. An ad account is `act_1`, or a number that is no object."""
        try:
            account = self.ad_account(object_id)
            return account, "account", account.meta_id
        except NotFound:
            found = queries.find(self.principal, object_id)
            return found.ad_account, found.level.value, found.meta_id


class Insights(OfObject):
    @extend_schema(
        summary="Insights of an account, campaign, ad set or ad",
        parameters=[
            *params.PERIOD,
            OpenApiParameter(
                "level", str, enum=LEVELS, description="Default: the object's own; or one below it."
            ),
            OpenApiParameter(
                "time_increment", str, enum=["all_days", "1"], description="One row, or one a day."
            ),
            params.BREAKDOWNS,
            params.METRIC_NAMES,
            params.ATTRIBUTION,
        ],
        responses={200: shapes.InsightsShape, 202: shapes.InsightsShape, **ERRORS},
    )
    def get(self, request: Request, object_id: str) -> Response:
        """Rows over the period, each with the brief's fields.

        With `breakdowns` one row per part; 202 while Meta is asked for them (`reading` says how far that is).
        """
        account, own, meta_id = self.object_(object_id)
        at, query = now(), request.query_params
        if query.get("breakdowns"):
            return parts.answer(self.principal, account, level=own, object_id=meta_id, at=at, query=query)
        level = params.one_of(query, "level", LEVELS[LEVELS.index(own) :], own)
        daily = params.one_of(query, "time_increment", ("all_days", "1"), "all_days") == "1"
        period = params.period(
            query, account, now=at, most=params.MOST_DAYS_BY_DAY if daily else params.MOST_DAYS
        )
        names = params.metrics(query, who=self.principal, client=account.client)
        narrow: dict[str, Any] = {
            "level": level,
            "metrics": names,
            "attribution": params.attribution(query),
        }
        if level == own:
            narrow["object_ids"] = [meta_id]
        elif own != "account":
            narrow["parent_id"] = meta_id
        whole = analytics.table(account, since=period.since, until=period.until, now=at, **narrow)
        rows = [] if daily else [shapes.insight(level, period.since, period.until, row) for row in whole.rows]
        today = analytics.account_today(account, at)
        for day in period if daily else ():
            if day <= today:
                found = analytics.table(account, since=day, until=day, now=at, **narrow)
                rows += [shapes.insight(level, day, day, row) for row in found.rows]
        head = {"id": account.act_id if own == "account" else meta_id, "level": level}
        return Response({**head, **shapes.header(whole.header), "insights": rows})


class Realtime(TenantAPIView):
    @extend_schema(
        summary="Today so far",
        parameters=[params.METRIC_NAMES, params.SAMPLES],
        responses={200: shapes.RealtimeShape, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> Response:
        """The running day, against yesterday's same full hours; when it was checked, and when it is checked next."""
        account, at = self.ad_account(account_id), now()
        today = analytics.account_today(account, at)
        names = params.metrics(request.query_params, who=self.principal, client=account.client)
        minutes = params.samples(request.query_params)
        start = at - timedelta(minutes=minutes)
        found = analytics.totals(account, since=today, until=today, metrics=names, now=at)
        return Response(
            {
                "account_id": account.act_id,
                **shapes.header(found.header),
                **shapes.numbers(found.values),
                **({"samples": shapes.samples(samples.since(account, start=start))} if minutes else {}),
                "against_yesterday": shapes.numbers(analytics.against_yesterday(account, now=at)),
                "next_check_at": poll.next_look(account),
                "poll_seconds": account.poll_seconds or settings.POLL_SECONDS,
                "progress": shapes.progress(analytics.progress(account)),
            }
        )


class Metrics(TenantAPIView):
    @extend_schema(summary="All metrics", responses={200: shapes.MetricsShape, **ERRORS})
    def get(self, request: Request) -> Response:
        """Every metric's name, label, unit and formula."""
        return Response(
            {"metrics": [shapes.metric(one) for one in METRICS.values()], "aliases": dict(ALIASES)}
        )
