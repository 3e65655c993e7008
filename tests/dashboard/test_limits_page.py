"""The limits of an ad account: how full they are, what is a default, who may set them, and who did."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import Client as Browser

from campaigns.models import Envelope
from tests.campaigns.test_api import Caller

pytestmark = pytest.mark.django_db


def page(desk, who):
    browser = Browser()
    browser.force_login(getattr(desk.agency.users, who))
    answer = browser.get(f"/a/{desk.account.act_id}/limits/")
    return " ".join(answer.content.decode().split()) if answer.status_code == 200 else answer.status_code


def test_the_defaults_are_shown_as_defaults_with_how_full_they_are(desk):
    text = page(desk, "vic")
    row = Envelope.everything.get(scope="account", period="day")
    assert (
        text.count('<span class="badge hollow">default</span>') == 5
    )  # four limits and the rules of approving
    assert f"{row.amount:,.2f}" in text and "33.3 %" in text
    assert f'Spend as of <time datetime="{desk.now.isoformat()}"' in text
    assert "Nobody has a limit of their own" in text
    log = text.partition("<h2>Who set what</h2>")[2]
    assert "Account limit, day · " in log and f"{row.amount:,.2f}" in log and "by metaads" in log
    assert "3 times what the budgets allowed at the first complete read." in log
    assert 'data-api="/api/envelopes"' not in text and "Owners and managers set these." in text


def test_a_limit_that_is_nearly_full_says_what_still_passes(desk):
    alice = Caller(desk.agency.users.alice)
    body = {"account_id": desk.account.act_id, "scope": "account", "period": "day", "reason": "agreed"}
    worst = Envelope.everything.get(scope="account", period="day").amount / 3
    alice.post("/api/envelopes", {**body, "amount": float(round(worst / 9 * 10, 2))})
    assert "raises stop" in page(desk, "alice")
    alice.post("/api/envelopes", {**body, "amount": float(worst)})
    text = page(desk, "alice")
    assert "only cuts and pauses pass" in text and 'data-api="/api/envelopes"' in text
    log = text.partition("<h2>Who set what</h2>")[2]
    assert "Account limit, day" in log and "by Alice" in log and "agreed" in log


def test_a_person_s_limit_stands_there_with_what_is_used_of_it(desk):
    alice = Caller(desk.agency.users.alice)
    limit = {"email": "vera@example.com", "currency": "USD", "amount": 300}
    assert alice.post("/api/authority?client=northwind", limit).status_code == 200
    change = desk.file("125")
    vera = Caller(desk.agency.users.vera)
    assert vera.post(f"/api/changes/{change.uuid}/approve", {"digest": change.digest}).status_code == 200
    text = page(desk, "vic")
    assert "Vera" in text and "300.00" in text and ">25.00 <" in text
    assert "Authority of Vera: none" in text and "user:" not in text
    browser = Browser()
    browser.force_login(desk.agency.users.vic)
    ledger = browser.get("/ledger/").content.decode()
    assert "Authority of Vera" in ledger and "Account limit, day" in ledger and "user:" not in ledger


def test_charlie_does_not_learn_that_there_is_such_an_account(desk):
    assert page(desk, "charlie") == 404


@pytest.mark.fault("F72")
def test_limits_in_another_currency_are_listed_with_what_is_to_be_set_anew(desk):
    alice = Caller(desk.agency.users.alice)
    body = {"account_id": desk.account.act_id, "scope": "account", "period": "day", "reason": "agreed"}
    assert "data-anew" not in page(desk, "alice")
    desk.edit(SimpleNamespace(meta_id=desk.account.act_id), "currency", "JPY")
    desk.wait(minutes=1)
    desk.sync()
    text = page(desk, "alice")
    anew = text.partition("data-anew")[2].partition("</table>")[0]
    assert "The currency of this ad account is JPY now." in anew
    assert anew.count("holds nothing</span>") == 2 and anew.count(">needed<") == 2
    assert "The client in JPY" in anew and "no limit in JPY" in anew and anew.count(">Set anew<span") == 3
    assert "No limit yet" not in text
    reader = page(desk, "vic")
    assert "an owner or manager sets each anew" in reader and ">Set anew<span" not in reader
    answer = alice.post("/api/envelopes", {**body, "amount": 60000})
    assert [one["currency"] for one in answer.body["envelopes"]] == ["JPY"]
    assert [(one["period"], one["currency"]) for one in answer.body["in_another_currency"]] == [
        ("week", "USD")
    ]
    assert answer.body["lacking"] == ["client"]
    assert alice.post("/api/envelopes", {**body, "scope": "client", "amount": 60000}).status_code == 200
    text = page(desk, "alice")
    anew = text.partition("data-anew")[2].partition("</table>")[0]
    assert anew.count(">Set anew<span") == 1 and ">needed<" not in anew, "the week's may be taken away"
    assert alice.post("/api/envelopes", {**body, "period": "week", "amount": None}).body["lacking"] == []
    assert "data-anew" not in page(desk, "alice")
