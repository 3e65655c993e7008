"""Southwind's marker stands in every text column of its rows; nothing that Bob of Northwind can open may show it.

Bob visits every address that answers GET, with his own ids and with Southwind's, with every parameter that narrows,
and every list, form, history, search and autocomplete of the operations site.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.db import models

from tests.access.matrix import ROUTES
from tests.access.world import MARKER, META, tenant_models

pytestmark = [
    pytest.mark.fault("N20"),
    pytest.mark.django_db,
    pytest.mark.fault("F112"),
    pytest.mark.fault("F111"),
    pytest.mark.fault("F116"),
]

READS = tuple(dict.fromkeys(route.path for route in ROUTES if "get" in route.rules or "get" in route.status))
#: Parameters that pages and lists understand; each is tried on every address.
QUESTIONS = ("part=nav", "part=stops", "page=2", "limit=200", "state=all", f"q={MARKER[:8]}")
#: Where Charlie meets his own rows.
SHOWN = (
    "/api/changes",
    "/api/strategies",
    "/api/proposals",
    "/api/stop",
    "/api/holds",
    "/alerts/",
    "/ledger/",
    "/connections/",
    "/strategies/",
    "/proposals/",
    "/c/{client}/",
    "/a/{account}/",
)
#: People of the agency's side who may not see Southwind.
OURS = ("buyer", "viewer", "integrator-key")


def spoken_about(text: str) -> str:
    return re.sub(r"[?#].*", "", text)


def test_the_marker_is_planted_in_every_tenants_table(estate):
    for model in tenant_models():
        row = estate.planted[model.__name__]
        manager: Any = model.everything
        stored = manager.filter(pk=row.pk).values().get()
        texts = [
            field.attname
            for field in model._meta.concrete_fields
            if isinstance(field, models.CharField | models.TextField) and (field.max_length or 99) >= 100
        ]
        plain = [name for name in texts if MARKER in str(stored[name]) or META in str(stored[name])]
        assert plain or not texts, f"{model.__name__} holds no marker in {texts}"


def test_southwinds_own_people_meet_the_marker_on_the_same_addresses(estate):
    """Else the tests below could pass because nothing is ever shown."""
    met = [
        path
        for path in READS
        if MARKER in estate.call("other-manager", "get", path.format(**{**estate.ids, **estate.theirs})).text
    ]
    for path in SHOWN:
        assert path in met, f"{path} shows Charlie nothing of his own"


@pytest.mark.parametrize("who", OURS)
@pytest.mark.parametrize("path", READS)
def test_no_address_shows_northwind_anything_of_southwinds(estate, path, who):
    for ids in (estate.ids, {**estate.ids, **estate.theirs}):
        address = path.format(**ids)
        answer = estate.call(who, "get", address)
        said_back = spoken_about(address)
        assert answer.status < 500
        left = answer.text.replace(said_back, "")
        for mark in (MARKER, META):
            if mark not in address:
                assert mark not in left + answer.location, f"{address} shows {mark}"
        if ids is not estate.ids and address != path.format(**estate.ids):
            assert not re.search(f"[SC][a-z]* {MARKER}|{MARKER} client", left), f"{address} names Southwind"


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_to_a_list_brings_up_a_foreign_row(estate, question):
    for path in READS:
        address = path.format(**estate.ids)
        answer = estate.call("buyer", "get", f"{address}{'&' if '?' in address else '?'}{question}")
        assert answer.status < 500
        assert MARKER not in answer.text and META not in answer.text, f"{address} with {question}"


def admin_models() -> list[Any]:
    return sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.mark.parametrize("model", admin_models(), ids=lambda model: model._meta.label)
def test_no_page_of_the_operations_site_shows_bob_anything_of_southwinds(estate, model):
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    own = estate.planted.get(model.__name__)
    addresses = [base, f"{base}?q=a", f"{base}?o=1", f"{base}add/"]
    if own is not None:
        addresses += [f"{base}{own.pk}/{view}/" for view in ("change", "history", "delete")] + [
            f"{base}{own.pk}/"
        ]
    for address in addresses:
        answer = estate.call("buyer", "get", address)
        assert answer.status < 500, address
        assert MARKER not in answer.text and META not in answer.text, address


def test_the_owner_meets_the_marker_in_the_operations_site(estate):
    """Else the test above could pass because the site shows nothing."""
    shown = [
        model.__name__
        for model in admin_models()
        if MARKER
        in estate.call("owner", "get", f"/admin/{model._meta.app_label}/{model._meta.model_name}/").text
    ]
    assert {
        "Alert",
        "AdAccount",
        "Campaign",
        "Change",
        "LedgerLine",
        "Strategy",
        "Proposal",
        "MetaConnection",
    } <= set(shown)


def test_search_and_autocomplete_of_the_operations_site_find_nothing_foreign(estate):
    fields = [
        (model, field)
        for model in admin_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey)
    ]
    assert fields
    for model, field in fields:
        address = (
            f"/admin/autocomplete/?term=zq7&app_label={model._meta.app_label}"
            f"&model_name={model._meta.model_name}&field_name={field.name}"
        )
        assert MARKER not in estate.call("buyer", "get", address).text, address
    for term in ("zq7", META[:5], "Charlie"):
        assert MARKER not in estate.call("buyer", "get", f"/admin/search/?s={term}").text
