"""Every route x method x principal. A refusal counts only where the rightful principal succeeds with the same request
at the same object; somebody else's object answers exactly like an id of nobody."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.urls import resolve

from tests.access.matrix import METHODS, ROUTES, Route, group_of, patterns
from tests.access.people import FEW, PRINCIPALS, Answer, Who
from tests.access.world import lost, rolled_back

pytestmark = [
    pytest.mark.fault("N20"),
    pytest.mark.django_db,
    pytest.mark.fault("F108"),
    pytest.mark.fault("F109"),
    pytest.mark.fault("F115"),
]

ASKED = [(route, method) for route in ROUTES for method in METHODS]


def askers(route: Route, method: str) -> tuple[Who, ...]:
    return PRINCIPALS if method in route.rules or method in route.status else FEW


def test_every_address_is_declared():
    declared = {route.name for route in ROUTES}
    strange = [
        f"{path} ({one.name}): add a Route to tests/access/matrix.py that says who may do which method there"
        for path, one in patterns()
        if one.name not in declared and group_of(path) is None
    ]
    assert strange == []


def test_every_declared_address_exists_and_leads_to_its_view():
    texts = ["account", "campaign", "adset", "ad", "link", "guest_link", "client", "idle_client"]
    ids = dict.fromkeys(texts, "x") | dict.fromkeys(
        [
            "change",
            "applied",
            "stuck",
            "strategy",
            "proposal",
            "decision",
            "backtest",
            "hold",
            "connection",
            "grant",
            "draft",
            "person",
            "second_owner",
            "invitation",
            "archived_client",
            "batch",
            "done_batch",
        ],
        "00000000-0000-4000-8000-000000000000",
    )
    for route in ROUTES:
        found = resolve(route.address(ids).partition("?")[0])
        assert found.url_name == route.name, f"{route.path} leads to {found.url_name}"


def test_every_refusal_has_somebody_who_succeeds_with_the_same_request():
    """The rightful principals are cells of their own, with the same address and body, and have to succeed."""
    for route in ROUTES:
        for method, rule in route.rules.items():
            rightful = [
                who for who in PRINCIPALS if route.signed_in(who) and route.expected(method, who) == rule.fine
            ]
            assert rightful and all(200 <= status < 400 for status in rule.fine), f"{route} {method}"


def test_the_matrix_is_as_large_as_it_was_meant_to_be():
    assert sum(len(askers(route, method)) for route, method in ASKED) >= 8000


def ask(estate: Any, route: Route, method: str, who: Who, ids: dict[str, str]) -> Answer:
    rule = route.rules.get(method)
    body = rule.body(ids) if rule is not None and rule.body is not None else None
    return estate.call(who, method, route.address(ids), body)


@pytest.mark.parametrize(("route", "method"), ASKED, ids=[f"{route}-{method}" for route, method in ASKED])
def test_everybody_gets_what_is_theirs(estate, route, method):
    """One address and method, asked by each principal, each over the same untouched world."""
    wrong = {}
    for who in askers(route, method):
        cache.clear()
        with rolled_back():
            try:
                cell(estate, route, method, who)
            except AssertionError as error:
                wrong[str(who)] = str(error)
    assert wrong == {}


def cell(estate: Any, route: Route, method: str, who: Who) -> None:
    answer = ask(estate, route, method, who, estate.ids)
    expected = route.expected(method, who)
    assert answer.status in expected, f"{answer.status}, not {sorted(expected)}: {answer.text[:300]}"
    rule = route.rules.get(method)
    # Every page that is opened while one views as a client is written down.
    kept = frozenset({"accounts_auditline"}) if who.by == "acting" else frozenset()
    if rule is None or route.kind == "open" or route.lets_in(who):
        assert not answer.written - kept, f"it wrote to {sorted(answer.written - kept)}"
        return
    good = route.signed_in(who) and expected == rule.fine
    if good:
        assert answer.good, f"{answer.status}, sent on to {answer.location}"
        if method == "get":
            extra = answer.written - rule.writes - kept
            assert not extra, f"looking wrote to {sorted(extra)}"
        return
    assert not answer.good, f"sent on to {answer.location}"
    assert not answer.written, f"a refused request wrote to {sorted(answer.written)}"
    if route.signed_in(who) and who.seat == "southwind" and answer.status == 404:
        strange = lost(estate.ids)
        nothing = ask(estate, route, method, who, strange)
        assert answer.without_trace(estate.ids) == nothing.without_trace(strange), (
            "it tells that there is one"
        )
