"""The doctor's page: it asks nothing before somebody asks it, and shows each check with its fix to whom it may."""

from __future__ import annotations

import pytest
from django.utils.html import escape

from insights.poll import tick
from strategies.doctor import TOPICS
from tests.dashboard.test_switching import signed_in

ADDRESS = "/connections/doctor/?client=northwind"


@pytest.fixture
def house(synced, clock):
    tick(now=clock.now())
    return synced


def test_opening_the_page_asks_meta_nothing(house, sandbox):
    calls = len(sandbox.history)
    answer = signed_in("bob").get(ADDRESS)
    assert answer.status_code == 200 and len(sandbox.history) == calls
    text = answer.content.decode()
    assert 'href="?client=northwind&amp;run=1"' in text  # without JavaScript
    assert 'data-ask="?client=northwind&amp;part=checks"' in text


@pytest.mark.parametrize("query", ["run=1", "part=checks"])
def test_asked_for_it_shows_sixteen_checks_with_their_fixes(house, sandbox, settings, query):
    settings.META = {**settings.META, "app_secret": ""}
    text = signed_in("bob").get(f"{ADDRESS}&{query}").content.decode()
    for topic in TOPICS:
        assert f'data-check="{topic.key}"' in text and escape(topic.title) in text
    assert 'data-check="login.app" data-state="fail"' in text
    assert "META_APP_SECRET is not set." in text and "Set META_APP_ID and META_APP_SECRET" in text
    assert 'data-check="login.browser" data-state="unknown"' in text
    assert ("<html" in text) == (query == "run=1")


@pytest.mark.parametrize(
    "who, status", [("alice", 200), ("bob", 200), ("vera", 403), ("vic", 403), ("charlie", 404)]
)
def test_only_those_who_may_sync_ask_the_doctor(house, who, status):
    for query in ("", "&run=1", "&part=checks"):
        assert signed_in(who).get(ADDRESS + query).status_code == status


def test_with_several_clients_one_is_chosen_or_all_by_an_owner(house):
    alice = signed_in("alice")
    text = alice.get("/connections/doctor/").content.decode()
    assert '"?client=northwind"' in text and '"?client=southwind"' in text and '"?all=1"' in text
    assert 'data-check="' in alice.get("/connections/doctor/?all=1&run=1").content.decode()
    assert alice.get("/connections/doctor/?part=checks").status_code == 404
    assert (
        'data-state="' in signed_in("bob").get("/connections/doctor/?all=1&run=1").content.decode()
    )  # their own only
    assert signed_in("vic").get("/connections/doctor/").status_code == 403


def test_the_connections_page_leads_there(house):
    assert b"/connections/doctor/" in signed_in("bob").get("/connections/?client=northwind").content
    assert b"/connections/doctor/" not in signed_in("vic").get("/connections/?client=northwind").content
