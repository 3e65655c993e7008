"""No GET changes anything: not a row of any table of ours, asked by anybody, at any address."""

from __future__ import annotations

import hashlib

import pytest
from django.apps import apps
from django.db import connection

from tests.access.matrix import ROUTES, Rule, patterns
from tests.access.world import FLOORS

pytestmark = [pytest.mark.django_db, pytest.mark.fault("N20"), pytest.mark.fault("F108")]

#: Own book-keeping, with the reason. What a single read may write is declared at its rule (`Rule.writes`).
BOOKS = {
    "accounts_apikey": "when a key was last used",
    "metaads_quotascope": "calls to Meta are counted",
    "accounts_connectlink": "declared at api_authorize_url",
    "accounts_auditline": "declared at api_authorize_url",
    "insights_fetchrun": "declared at api_insights: parts that nobody has read yet",
    "accounts_user": "where the person was last: declared at the pages that name a client or an ad account",
}


def prints() -> dict[str, str]:
    """Every table of ours -> a hash of all its rows."""
    found = {}
    tables = [
        model._meta.db_table
        for floor in (*FLOORS, "metaads")
        for model in apps.get_app_config(floor).get_models()
    ]
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f'SELECT * FROM "{table}" ORDER BY 1')
            found[table] = hashlib.sha256(repr(cursor.fetchall()).encode()).hexdigest()
    assert len(found) > 40
    return found


@pytest.mark.parametrize("who", ["anonymous", "viewer", "buyer", "owner", "integrator-key", "other-manager"])
def test_visiting_every_address_changes_no_row(estate, who):
    before = prints()
    for route in ROUTES:
        for address in (route.address(estate.ids), route.address({**estate.ids, **estate.theirs})):
            assert estate.call(who, "get", address).status < 500, address
    changed = {table for table, hashed in prints().items() if hashed != before[table]}
    assert changed <= set(BOOKS), f"reading as {who} changed {sorted(changed)}"


def test_a_change_would_be_seen(estate):
    before = prints()
    estate.call("owner", "post", "/api/stop", {"scope": "everything", "reason": "fire"})
    assert prints() != before


@pytest.mark.parametrize("who", ["anonymous", "buyer"])
def test_visiting_every_address_of_a_package_changes_no_row(estate, who):
    """The admin site and allauth, where an address needs no id."""
    before = prints()
    for path, _ in patterns():
        if not any(sign in path for sign in "<(^"):
            answer = estate.call(who, "get", f"/{path}")
            assert answer.status < 500, path
    changed = {table for table, hashed in prints().items() if hashed != before[table]}
    assert changed <= set(BOOKS)


def test_only_these_reads_are_declared_to_write():
    writing = {route.name for route in ROUTES if route.rules.get("get", Rule()).writes}
    pages = {
        "client",
        "account",
        "campaign",
        "patterns",
        "standing",
        "limits",
        "review",
        "doctor",
        "people",
        "new_strategy",
    }  # they name a client: the last choice
    # Parts that nobody has read yet are asked for when somebody wants to see them.
    assert writing == {"api_authorize_url", "confirm_connection", "api_insights"} | pages
