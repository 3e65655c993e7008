"""What one person was answered is kept by nobody: no proxy, no browser, no entity tag."""

from __future__ import annotations

import pytest

from tests.access.matrix import ROUTES

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F111")]

READS = tuple(
    {route.path: route for route in ROUTES if "get" in route.rules or "get" in route.status}.values()
)
ASKERS = ("buyer", "integrator-key", "integrator-jwt", "other-manager", "anonymous")


def test_every_answer_forbids_being_kept(estate):
    wrong = []
    for route in READS:
        for who in ASKERS:
            answer = estate.call(who, "get", route.address(estate.ids))
            rules = {one.strip() for one in answer.headers.get("Cache-Control", "").split(",")}
            varies = {one.strip().lower() for one in answer.headers.get("Vary", "").split(",")}
            if not {"private", "no-store"} <= rules or "public" in rules:
                wrong.append(f"{route} as {who}: Cache-Control {sorted(rules)}")
            if not {"cookie", "authorization", "x-api-key"} <= varies:
                wrong.append(f"{route} as {who}: Vary {sorted(varies)}")
            if {"ETag", "Last-Modified"} & set(answer.headers):
                wrong.append(f"{route} as {who}: can be asked for by a tag or date")
    assert wrong == []


def test_files_of_the_product_may_be_kept(estate):
    """Else the test above could pass because nothing ever may; they are the same for everybody."""
    answer = estate.call("anonymous", "get", "/static/accounts/base.css")
    assert answer.status == 200
    assert "no-store" not in answer.headers.get("Cache-Control", "")


@pytest.mark.parametrize(
    "headers", [{"If-None-Match": "*"}, {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}]
)
def test_nobody_is_told_that_nothing_has_changed(estate, headers):
    for route in READS:
        answer = estate.call("buyer", "get", route.address(estate.ids), headers=headers)
        assert answer.status != 304, str(route)


def test_an_address_that_one_person_has_just_opened_is_not_served_to_the_next(estate):
    for route in READS:
        if route.kind not in ("api", "page") or route.rules["get"].foreign != 404:
            continue
        address = route.address(estate.ids)
        first = estate.call("owner", "get", address)
        if first.status != 200 or first.written:
            continue
        for who in ("other-manager", "anonymous"):
            answer = estate.call(who, "get", address)
            assert answer.status in (404, 401, 302), f"{address} as {who}"
            assert answer.text != first.text
