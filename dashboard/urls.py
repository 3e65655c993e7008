"""The web pages of clients and buyers. They read; every write goes to an API."""

from __future__ import annotations

from django.urls import URLPattern, path

from dashboard.pages import (
    account,
    alerts,
    batches,
    builder,
    campaign,
    changes,
    connections,
    doctor,
    limits,
    overview,
    patterns,
    people,
    proposals,
    standing,
    strategies,
    why,
)

urlpatterns: list[URLPattern] = [
    path("", overview.home, name="home"),
    path("clients/", overview.listing, name="clients"),
    path("c/<slug:slug>/", overview.client, name="client"),
    path("a/<str:act_id>/", account.account, name="account"),
    path("a/<str:act_id>/campaigns/<str:meta_id>/", campaign.campaign, name="campaign"),
    path("a/<str:act_id>/patterns/", patterns.patterns, name="patterns"),
    path("a/<str:act_id>/standing/", standing.standing, name="standing"),
    path("a/<str:act_id>/limits/", limits.limits, name="limits"),
    path("a/<str:act_id>/review/", batches.sheet, name="review"),
    path("batches/<uuid:uuid>/", batches.one, name="batch"),
    path("proposals/", proposals.listing, name="proposals"),
    path("proposals/<uuid:uuid>/", proposals.one, name="proposal"),
    path("changes/<uuid:uuid>/", changes.one, name="change"),
    path("ledger/", changes.ledger_page, name="ledger"),
    path("strategies/", strategies.listing, name="strategies"),
    path("strategies/new/", builder.new, name="new_strategy"),
    path("strategies/preview", builder.trial, name="preview_strategy"),
    path("strategies/<uuid:uuid>/edit/", builder.edit, name="edit_strategy"),
    path("strategies/<uuid:uuid>/", strategies.one, name="strategy"),
    path("decisions/<uuid:uuid>/", why.one, name="decision"),
    path("alerts/", alerts.listing, name="alerts"),
    path("connections/", connections.listing, name="connections"),
    path("connections/doctor/", doctor.one, name="doctor"),
    path("people/", people.listing, name="people"),
]
