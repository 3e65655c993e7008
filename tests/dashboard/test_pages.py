"""Each page: who may see it, what it costs, and what it says about its numbers."""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from insights.analytics import totals
from insights.models import Slice
from tests.conftest import PASSWORD
from tests.dashboard.conftest import ASKS

#: Four of them ask who looks: session, person, roles, and what these roles must have.
QUERIES = 19
#: Pages that add up figures of several levels or accounts may ask more, but a fixed number.
HEAVY = {
    "account": 41,
    "campaign": 40,
    "client": 28,
    "patterns": 32,
    "standing": 42,
    "limits": 43,
    "proposal": 24,
    "change": 28,
}
PAGES = (
    "client",
    "account",
    "patterns",
    "standing",
    "limits",
    "campaign",
    "proposals",
    "proposal",
    "change",
    "ledger",
    "strategies",
    "strategy",
    "decision",
    "new_strategy",
    "edit_strategy",
    "alerts",
    "connections",
    "people",
)
OWN = tuple(
    name
    for name in PAGES
    if name
    in (
        "client",
        "account",
        "patterns",
        "standing",
        "limits",
        "campaign",
        "proposal",
        "change",
        "strategy",
        "decision",
        "new_strategy",
        "edit_strategy",
    )
)
WITH_FIGURES = ("client", "account", "patterns", "standing", "campaign")


def address(world, name: str) -> str:
    act = world.ad_account.act_id
    return {
        "client": "/c/northwind/",
        "account": f"/a/{act}/",
        "patterns": f"/a/{act}/patterns/",
        "standing": f"/a/{act}/standing/",
        "limits": f"/a/{act}/limits/",
        "campaign": f"/a/{act}/campaigns/{world.campaign_id}/",
        "proposals": "/proposals/",
        "proposal": f"/proposals/{world.proposal.uuid}/",
        "change": f"/changes/{world.change.uuid}/",
        "ledger": "/ledger/",
        "strategies": "/strategies/",
        "strategy": f"/strategies/{world.strategy.uuid}/",
        "decision": f"/decisions/{world.proposal.decision.uuid}/",
        "new_strategy": f"/strategies/new/?account={act}",
        "edit_strategy": f"/strategies/{world.strategy.uuid}/edit/",
        "alerts": "/alerts/",
        "connections": "/connections/",
        "people": "/people/",
    }[name]


def signed_in(name: str) -> Browser:
    browser = Browser()
    assert browser.login(email=f"{name}@example.com", password=PASSWORD)
    return browser


def test_a_buyer_reads_every_page_within_its_query_budget(furnished, django_assert_max_num_queries):
    bob = signed_in("bob")
    bob.get("/alerts/")  # the session's own first writes are not the page's
    for name in PAGES:
        with django_assert_max_num_queries(HEAVY.get(name, QUERIES), info=name):
            answer = bob.get(address(furnished, name))
        assert answer.status_code == 200, name
        text = answer.content.decode()
        assert "<h1>" in text and 'href="#main"' in text, name
        assert "style=" not in text and "onclick=" not in text, name


def test_another_clients_manager_sees_nothing_of_ours_on_any_page(furnished):
    """What has an address of its own is the same 404 as nothing at all; lists leave it out."""
    charlie = signed_in("charlie")
    for name in PAGES:
        answer = charlie.get(address(furnished, name))
        assert answer.status_code == (404 if name in OWN else 200), name
        text = answer.content.decode()
        for ours in (
            "Northwind",
            furnished.ad_account.name,
            "Delivery has stopped",
            str(furnished.proposal.uuid),
            furnished.strategy.name,
        ):
            assert ours not in text.replace(address(furnished, name), ""), (name, ours)


def test_a_stranger_is_sent_to_the_sign_in(furnished):
    for name in PAGES:
        answer = Browser().get(address(furnished, name))
        assert answer.status_code == 302 and answer["Location"].startswith("/accounts/login/"), name


def test_no_page_holds_a_token_and_every_page_has_the_policy(furnished, sandbox):
    alice, token = signed_in("alice"), sandbox.token("alice")
    for name in PAGES:
        answer = alice.get(address(furnished, name) + ("" if name in OWN else "?client=northwind"))
        text = answer.content.decode()
        assert token not in text and not re.search(r"EAA[A-Za-z0-9]{8,}", text), name
        policy = answer["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe-inline" not in policy, name
        assert "no-store" in answer["Cache-Control"], name


@pytest.mark.fault("F56")
def test_figures_carry_currency_zone_and_age(furnished):
    bob, account = signed_in("bob"), furnished.ad_account
    for name in WITH_FIGURES:
        text = bob.get(address(furnished, name)).content.decode()
        assert account.currency in text and account.timezone_name in text, name
        assert "Data as of" in text and "Checked" in text and "data-age" in text, name


def test_the_shown_spend_is_the_readers_at_that_data_version(furnished, clock):
    account = furnished.ad_account
    from dashboard.pages.tiles import period

    week = period(account, "last_7d", clock.now())
    found = totals(account, since=week.since, until=week.until, metrics=("spend",), now=clock.now())
    text = signed_in("bob").get(address(furnished, "account")).content.decode()
    assert found.values["spend"] > 0
    assert f"{found.values['spend']:,.2f}" in text
    assert f'data-version="{found.header.data_version}"' in text


def test_a_part_is_the_same_markup_as_on_the_whole_page(furnished):
    bob, seen = signed_in("bob"), 0
    for name in PAGES:
        whole = bob.get(address(furnished, name)).content.decode()
        for part in re.findall(r'data-part="([a-z]+)"', whole):
            alone = bob.get(
                address(furnished, name), {"part": part}, headers={"X-Poll": "1"}
            ).content.decode()
            assert "<html" not in alone, (name, part)
            assert alone.strip() or part == "stops", (name, part)  # nothing is stopped
            assert alone.strip() in whole, (name, part)
            seen += 1
    assert seen >= 17 + 2 * len(PAGES)


def test_a_part_that_does_not_exist_is_a_404(furnished):
    assert signed_in("bob").get("/alerts/?part=nothing").status_code == 404


def test_a_viewer_finds_no_buttons_that_change_something(furnished):
    vic = signed_in("vic")
    for name in ("campaign", "proposal", "strategy", "connections"):
        text = vic.get(address(furnished, name)).content.decode()
        assert "data-api=" not in text, name
    assert "/connections/connect" not in vic.get("/connections/").content.decode()


def test_an_approver_finds_the_digest_to_approve_and_the_kill_switch(furnished):
    text = signed_in("vera").get(address(furnished, "proposal")).content.decode()
    assert f'value="{furnished.proposal.digest}"' in text
    assert f"/api/proposals/{furnished.proposal.uuid}/approve" in text
    assert 'data-api="/api/stop"' in text


def test_a_pulled_switch_is_told_on_every_page(furnished):
    vera = signed_in("vera")
    answer = vera.post(
        "/api/stop",
        {"scope": "client", "client": "northwind", "reason": "Wrong prices in the shop"},
        content_type="application/json",
    )
    assert answer.status_code == 200, answer.content
    for name in ("client", "proposals", "ledger"):
        assert "Wrong prices in the shop" in vera.get(address(furnished, name)).content.decode()


def test_a_wrong_query_is_refused_with_what_to_do(furnished):
    bob = signed_in("bob")
    for query in ("?period=last_900d", "?sort=password", "?page=zero"):
        answer = bob.get(address(furnished, "ledger" if "page" in query else "account") + query)
        assert answer.status_code == 400, query
        assert "To the overview" in answer.content.decode()


def test_a_period_is_held_against_what_the_page_is_asked_for(furnished):
    bob = signed_in("bob")
    for page in ("account", "campaign"):
        for against, words in (("week", "the same weekdays before"), ("year", "the same days a year before")):
            text = bob.get(address(furnished, page), {"compare": against}).content.decode()
            assert f"compare={against}" in text and words in text
        assert bob.get(address(furnished, page), {"compare": "never"}).status_code == 400
    week = bob.get(address(furnished, "account"), {"part": "kpis"}).content.decode()
    assert "vs the period before" in week and "not comparable yet" in week
    today = bob.get(address(furnished, "account"), {"part": "kpis", "period": "today"}).content.decode()
    assert "Today is compared up to 10:00, with the same hours." in today


def test_patterns_say_what_is_missing_and_what_meta_does_not_tell(furnished):
    bob, page = signed_in("bob"), address(furnished, "patterns")
    assert "of 4 weeks are there yet" not in bob.get(page).content.decode(), "the first sync brought them"
    Slice.everything.filter(kind="hour").delete()
    cache.clear()
    text = bob.get(page).content.decode()
    assert "Not enough to tell yet." in text and "0 of 4 weeks are there yet" in text
    assert "0 of 12 months were seen in 2 years yet" in text
    assert re.search(r"\d\d \w{3} 20(\d\d) – \d\d \w{3} 20(?!\1)\d\d", text), "a range over years names both"
    roas = bob.get(page, {"metric": "roas"}).content.decode()
    assert "Meta tells no ROAS by the hour" in roas and "Days younger than 28 days are left out" in roas
    for query in ({"metric": "spend"}, {"metric": "reach"}, {"weeks": "5"}):
        assert bob.get(page, query).status_code == 400, query
    assert signed_in("vic").get(page, {"metric": "profit_margin"}).status_code == 403


def test_the_standing_ranks_by_any_metric_and_shows_no_group_that_is_too_small(furnished):
    bob, page = signed_in("bob"), address(furnished, "standing")
    for query in ({"metric": "cpa"}, {"metric": "spend", "level": "campaign"}, {"metric": "frequency"}):
        assert bob.get(page, query).status_code == 200, query
    assert "Highest" in bob.get(page, {"metric": "spend"}).content.decode()
    text = bob.get(page, {"days": "7"}).content.decode()
    assert "give somebody&#x27;s numbers away" in text and "not shown" in text
    for query in ({"metric": "luck"}, {"level": "account"}, {"days": "9"}):
        assert bob.get(page, query).status_code == 400, query
    assert signed_in("vic").get(page, {"metric": "profit"}).status_code == 403


def test_every_period_opens(furnished):
    bob = signed_in("bob")
    for period in ("today", "yesterday", "last_14d", "last_28d"):
        assert bob.get(address(furnished, "account"), {"period": period, "sort": "cpa"}).status_code == 200
        assert bob.get(address(furnished, "campaign"), {"period": period}).status_code == 200


def test_unknown_is_a_dash_and_never_a_zero(connected):
    """Nothing has been read yet: the account's page says so, and shows no number that nobody knows."""
    text = signed_in("bob").get(f"/a/{connected.ad_account.act_id}/").content.decode()
    assert "Not available" in text and "not known" in text
    tile = re.search(r'data-key="spend">(.*?)</div>', text, re.S)
    assert tile and "0" not in tile[1]


def test_one_client_is_home_and_several_are_a_list(agency):
    assert signed_in("bob").get("/")["Location"] == "/c/northwind/"
    text = signed_in("alice").get("/").content.decode()
    assert "/c/northwind/" in text and "/c/southwind/" in text


def test_campaigns_sort_by_any_column_with_unknown_figures_last(furnished):
    bob = signed_in("bob")
    page = address(furnished, "account")
    ascending = bob.get(page, {"sort": "spend", "part": "campaigns"}).content.decode()
    descending = bob.get(page, {"sort": "-spend", "part": "campaigns"}).content.decode()
    ids = [re.findall(r"/campaigns/(\d+)/", text) for text in (ascending, descending)]
    assert len(ids[0]) > 1 and ids[0] == ids[1][::-1]


def test_the_reason_of_the_proposal_stands_on_its_page(furnished):
    text = signed_in("vera").get(address(furnished, "proposal")).content.decode()
    assert "CTR" in text and "Approve exactly this" in text
    assert ASKS["name"] in text
