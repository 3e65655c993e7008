"""The published description: no complaint, every path of the brief, its answers and the ways to sign in."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from tests.api.paths import BRIEF, CALLBACK, PATHS

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_the_schema_is_made_without_one_warning(published):
    assert published.complaints == []


def test_every_path_of_the_brief_is_published(published):
    paths = published.document["paths"]
    assert {(method, path) for method, path in BRIEF if method not in paths.get(path, {})} == set()


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_a_path_says_what_it_answers_what_it_refuses_and_who_may_ask(published, path):
    operation = published.operation(path.method, path.template)
    content = operation["responses"][str(path.status)]["content"]
    assert content["application/json"]["schema"], "the good answer has a shape"
    refusals = (
        ["400", "401", "403", "404", "409", "422", "429"] if path.method == "post" else ["400", "401", "404"]
    )
    for status in refusals:
        assert operation["responses"][status]["content"] == PROBLEM, status
    assert operation["security"] == [{"bearer": []}, {"apiKey": []}, {"cookieAuth": []}]
    assert operation["summary"]
    headers = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "header"}
    assert ("Idempotency-Key" in headers) == (path.method == "post")


def test_the_callback_is_described_as_a_redirect_by_session(published):
    operation = published.operation("get", CALLBACK)
    assert {"302", "403"} <= set(operation["responses"])
    assert {"cookieAuth": []} in operation["security"]


def test_a_lie_in_the_schema_is_found(published):
    """The judge itself: a missing field, an unknown one, a text for a number, a null, a moment without zone."""
    row = dict.fromkeys(published.document["components"]["schemas"]["TokenState"]["properties"])
    good = row | {"valid": True, "state": "connected", "reason": "", "scopes": [], "missing_scopes": []}

    def wrong(**changes: object) -> list[str]:
        body = {key: value for key, value in {**good, **changes}.items() if value is not ...}
        answer = SimpleNamespace(status=200, kind="application/json", body=body)
        return published.wrong("get", "/api/meta/validate-token", answer)

    assert wrong() == []
    for lie in (
        {"valid": ...},
        {"more": Decimal(1)},
        {"valid": "true"},
        {"state": None},
        {"expires_at": "2026-11-18T15:00:00"},
    ):
        assert len(wrong(**lie)) == 1, lie
