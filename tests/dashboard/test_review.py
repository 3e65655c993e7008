"""Bulk edit from the campaign table, as a browser without JavaScript does it: tick, review, ask, approve, undo."""

from __future__ import annotations

import html
import re
from decimal import Decimal

import pytest
from django.test import Client as Browser

import campaigns.changes.authority as authority
import campaigns.changes.caps as caps
from campaigns.changes.envelopes import Period, Scope
from campaigns.models import Ad, AdSet, Change
from tests.campaigns.test_api import Caller
from tests.campaigns.test_headroom import day_of

pytestmark = pytest.mark.django_db


class Person:
    """A signed-in browser that keeps to forms and links."""

    def __init__(self, desk, who):
        self.desk, self.http = desk, Browser()
        self.http.force_login(getattr(desk.agency.users, who))

    def review(self, *objects, do, by="", **more):
        query = {"id": [one.meta_id for one in objects], "do": do, "by": by, **more}
        return self._read(self.http.get(f"/a/{self.desk.account.act_id}/review/", query))

    def press(self, answer, action, **fields):
        """Send the form of the page that leads to `action`, with what it holds and what a person fills in."""
        form = re.search(rf'<form method="post" action="{action}"(.*?)</form>', answer.text).group(1)
        held: dict[str, list[str]] = {}
        for name, value in re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', form):
            held.setdefault(name, []).append(html.unescape(value))
        return self._read(self.http.post(action, {**held, **fields}, follow=True))

    @staticmethod
    def _read(response):
        response.text = " ".join(response.content.decode().split())
        return response


def states():
    return sorted(Change.everything.values_list("state", flat=True))


def batch_of(answer):
    return answer.request["PATH_INFO"].split("/")[2]


def test_the_table_offers_the_ticks_to_who_may_ask_and_to_nobody_else(desk):
    page = f"/a/{desk.account.act_id}/"
    for who, offered in (("alice", True), ("bob", True), ("vera", False), ("vic", False)):
        text = Person(desk, who).http.get(page).content.decode()
        assert (f'value="{desk.campaign.meta_id}" aria-label="Choose' in text) is offered, who
    assert Person(desk, "vera").review(desk.campaign, do="pause").status_code == 403
    assert Person(desk, "charlie").review(desk.campaign, do="pause").status_code == 404


def test_a_review_asks_for_nothing(desk):
    answer = Person(desk, "alice").review(desk.campaign, desk.other, do="pause")
    assert answer.status_code == 200 and "Nothing has been asked for yet. 2 of 2 would be" in answer.text
    assert Change.everything.count() == 0


@pytest.mark.parametrize(
    "do, by, wanted",
    [
        ("raise", "20", "raise the budget by 20 %"),
        ("cut", "7.50", "cut the budget by 7.5 %"),
        ("set", "90", "set the budget to 90 USD"),
        ("pause", "", "pause"),
    ],
)
def test_a_sheet_says_what_was_wanted_and_how_old_the_spend_is(desk, do, by, wanted):
    text = Person(desk, "alice").review(desk.campaign, do=do, by=by).text
    assert f"<h1>Review: {wanted}</h1>" in text
    assert f'spend as of <time datetime="{desk.now.isoformat()}"' in text
    assert f"days in {desk.account.timezone_name}" in text


def test_a_sheet_says_before_and_after_and_what_to_know_of_each(desk):
    text = Person(desk, "alice").review(desk.campaign, desk.other, desk.ad_set, do="raise", by="20").text
    assert "100.00" in text and "120.00" in text and "36.00" in text
    assert "It has no budget of its own: that is on its ad sets." in text and "2 of 3 would be" in text
    assert "at worst 35 USD more on the first day" in text and "you, in a second step" in text
    assert "Raises together: " in text and "26.00" in text
    today = day_of(desk).worst + Decimal(26) * Decimal("1.75")
    assert f"{today:,.2f}" in text  # the limits are shown with all of it


def test_what_a_guard_would_refuse_is_left_out_with_its_reason_and_not_asked_for(desk):
    desk.account.__class__.everything.filter(pk=desk.account.pk).update(min_daily_budget=Decimal(50))
    alice = Person(desk, "alice")
    answer = alice.review(desk.campaign, desk.ad_set, do="set", by="40")
    assert "Meta&#x27;s smallest daily budget here is 50 USD" in answer.text
    assert "Nothing to ask for" in answer.text
    AdSet.everything.filter(pk=desk.ad_set.pk).update(learning_stage="LEARNING")
    answer = alice.review(desk.campaign, desk.ad_set, do="set", by="55")
    assert "in its learning phase now" not in answer.text  # more than 50 % up, not confirmed: left out
    assert "in its learning phase now" in alice.review(desk.ad_set, do="set", by="55", large="1").text


def test_each_line_is_judged_with_the_room_that_those_before_it_would_take(desk):
    room = ((day_of(desk, Scope.CLIENT).worst + 40) / Decimal("0.85")).quantize(Decimal("0.01"))
    caps.set_(
        principal=desk.agency.principals.alice, client=desk.agency.northwind, scope=Scope.CLIENT,
        period=Period.DAY, amount=room, reason="agreed", now=desk.now, currency="USD",
    )  # fmt: skip
    alice = Person(desk, "alice")
    assert "1 of 1 would be" in alice.review(desk.ad_set, do="raise", by="20").text
    together = alice.review(desk.campaign, desk.ad_set, do="raise", by="20")
    assert "1 of 2 would be" in together.text and "the client in USD could spend" in together.text


def test_four_eyes_names_who_lets_it_pass(desk):
    text = Person(desk, "alice").review(desk.campaign, do="raise", by="60", large="1").text
    assert "another person" in text and "Ask Vera" in text


def test_one_batch_is_asked_for_approved_and_undone_by_forms_alone(desk):
    alice = Person(desk, "alice")
    sheet = alice.review(desk.campaign, desk.ad_set, do="raise", by="20")
    asked = alice.press(sheet, "/batches/file", reason="season")
    assert asked.redirect_chain[0][1] == 303 and states() == ["PROPOSED", "PROPOSED"]
    batch = batch_of(asked)
    assert {str(one.batch) for one in Change.everything.all()} == {batch}
    assert "2 wait for one approval" in asked.text and "What an undo will not bring back." in asked.text
    approved = Person(desk, "vera").press(
        Person._read(Person(desk, "vera").http.get(f"/batches/{batch}/")), f"/batches/{batch}/approve"
    )
    assert approved.status_code == 200 and states() == ["APPROVED", "APPROVED"]
    for change in Change.everything.all():
        desk.until(change, "APPLIED")
    done = Person._read(alice.http.get(f"/batches/{batch}/"))
    back = alice.press(done, f"/batches/{batch}/undo")
    assert back.status_code == 200 and Change.everything.filter(undo_of__batch=batch).count() == 2
    assert "Its undo was asked for" in Person._read(alice.http.get(f"/batches/{batch}/")).text


def test_pressing_twice_asks_once(desk):
    bob = Person(desk, "bob")
    sheet = bob.review(desk.campaign, do="pause")
    first, second = (bob.press(sheet, "/batches/file", reason="sold out") for _ in range(2))
    assert batch_of(first) == batch_of(second)
    assert states() == ["APPROVED"]  # a pause of few objects passes at once
    # A batch that is on record takes nothing more, though its form is still at hand.
    more = bob.press(sheet, "/batches/file", reason="also", line=f"{desk.other.meta_id} status 0 PAUSED")
    assert batch_of(more) == batch_of(first) and Change.everything.count() == 1


def test_what_somebody_asked_for_before_leads_to_that_change(desk):
    change = desk.file("120")
    alice = Person(desk, "alice")
    asked = alice.press(alice.review(desk.campaign, do="raise", by="20"), "/batches/file", reason="season")
    assert asked.request["PATH_INFO"] == f"/changes/{change.uuid}/" and Change.everything.count() == 1


def test_a_form_that_was_changed_or_has_no_reason_is_refused(desk):
    alice = Person(desk, "alice")
    sheet = alice.review(desk.campaign, do="pause")
    without = alice.press(sheet, "/batches/file", reason=" ")
    assert without.status_code == 400 and "Say why." in without.text and "connect" not in without.text.lower()
    assert alice.press(sheet, "/batches/file", reason="x", ticket="forged").status_code == 400
    assert alice.press(sheet, "/batches/file", reason="x", line="1 nonsense").status_code == 400
    assert Change.everything.count() == 0


def test_who_may_not_approve_all_of_it_gets_no_button(desk):
    alice = Person(desk, "alice")
    asked = alice.press(
        alice.review(desk.campaign, do="raise", by="60", large="1"), "/batches/file", reason="season"
    )
    assert "/approve" not in asked.text and "Ask Vera" in asked.text
    assert "/reject" in asked.text


@pytest.mark.parametrize(
    "query", [{"do": "dance"}, {"do": "raise"}, {"do": "raise", "by": "x"}, {"do": "cut", "by": "-5"}]
)
def test_nonsense_is_told_what_to_do(desk, query):
    assert Person(desk, "alice").review(desk.campaign, **query).status_code == 400
    assert Person(desk, "alice").review(do="pause").status_code == 400


# --- ad sets and ads, and what the batch does as a whole


def test_ad_sets_and_ads_are_ticked_on_their_campaign_s_page(desk):
    ad = Ad.everything.filter(campaign=desk.other).first()
    page = f"/a/{desk.account.act_id}/campaigns/{desk.other.meta_id}/"
    for who, offered in (("alice", True), ("bob", True), ("vera", False), ("vic", False)):
        text = Person(desk, who).http.get(page).content.decode()
        for one in (desk.ad_set, ad):
            assert (f'name="id" value="{one.meta_id}"' in text) is offered, (who, one)
    sheet = Person(desk, "bob").review(desk.ad_set, ad, do="pause")
    assert "2 of 2 would be" in sheet.text and "Ad set · status" in sheet.text and "Ad · status" in sheet.text
    assert f'href="{page}#below"' in sheet.text, "and back to where they were ticked"


def test_an_ad_has_no_budget_and_the_sheet_says_where_it_is(desk):
    ad = Ad.everything.filter(campaign=desk.other).first()
    text = Person(desk, "alice").review(desk.ad_set, ad, do="raise", by="20").text
    assert "1 of 2 would be" in text
    assert "It has no budget of its own: that is on its ad set or campaign." in text


def test_an_ad_set_s_budget_and_an_ad_s_pause_go_their_whole_way_and_back_as_one_batch(desk):
    ad = Ad.everything.filter(campaign=desk.other).first()
    alice = Person(desk, "alice")
    sheet = alice.review(desk.ad_set, desk.campaign, ad, do="pause")
    assert "All 3 pass at once and are sent within seconds." in sheet.text
    asked = alice.press(sheet, "/batches/file", reason="sold out")
    batch = batch_of(asked)
    for change in Change.everything.filter(batch=batch):
        desk.until(change, "APPLIED")
    assert desk.truth(ad, "status") == desk.truth(desk.ad_set, "status") == "PAUSED"
    back = alice.press(Person._read(alice.http.get(f"/batches/{batch}/")), f"/batches/{batch}/undo")
    assert Change.everything.filter(undo_of__batch=batch).count() == 3
    assert "3 wait for one approval" in back.text and "lets all 3 pass, or none" in back.text


def test_a_sheet_says_line_by_line_and_as_a_whole_who_may_let_it_pass(desk):
    bob, alice = Person(desk, "bob"), Person(desk, "alice")
    text = bob.review(desk.campaign, desk.ad_set, do="raise", by="20").text
    assert text.count("Your role may not approve a change that spends more.") == 2
    assert "2 wait together: one approval by one person lets all of them pass, or none." in text
    assert "Alice" in text.partition("2 wait together")[2] and "may give it; you may not." in text
    text = alice.review(desk.campaign, desk.ad_set, do="raise", by="20").text
    assert "You may give it, or Vera" in text


def limited(desk, who, amount):
    authority.set_limit(
        client=desk.agency.northwind, principal=desk.agency.principals.alice, email=f"{who}@example.com",
        currency="USD", amount=Decimal(amount), now=desk.now,
    )  # fmt: skip


def test_who_may_approve_each_line_but_not_all_of_them_sees_that_before_the_click(desk):
    """Vera may let 22 pass in a day. The lines add 20 and 6: each alone fits, both together do not."""
    limited(desk, "vera", 22)
    alice = Person(desk, "alice")
    sheet = alice.review(desk.campaign, desk.ad_set, do="raise", by="20")
    assert "You may give it." in sheet.text and "or Vera" not in sheet.text
    batch = batch_of(alice.press(sheet, "/batches/file", reason="season"))
    vera = Person(desk, "vera")
    page = Person._read(vera.http.get(f"/batches/{batch}/"))
    assert "You may not approve all of it" in page.text and "/approve" not in page.text
    assert "You may approve up to 22 USD more within 24 hours; this one goes beyond." in page.text
    assert "Ask Alice: they may approve all of it." in page.text
    answer = Caller(desk.agency.users.vera).get(f"/api/batches/{batch}").body
    assert answer["may_approve"] is False and "up to 22 USD" in answer["why_not_approve"]
    assert answer["approvers"] == ["Alice"]
    assert [one["may_approve"] for one in answer["changes"]] == [True, False]
    refused = Caller(desk.agency.users.vera).post(
        f"/api/batches/{batch}/approve", {"digest": answer["digest"]}
    )
    assert refused.status_code == 403, "the page said what the approval says"
    limited(desk, "vera", 26)
    page = Person._read(vera.http.get(f"/batches/{batch}/"))
    assert "You may not" not in page.text and "/approve" in page.text
    assert Caller(desk.agency.users.vera).get(f"/api/batches/{batch}").body["may_approve"] is True


def test_what_a_guard_would_say_at_the_approval_stands_on_the_batch_instead_of_a_button(desk):
    alice = Person(desk, "alice")
    batch = batch_of(
        alice.press(
            alice.review(desk.campaign, desk.ad_set, do="raise", by="20"), "/batches/file", reason="season"
        )
    )
    room = ((day_of(desk).worst + 40) / Decimal("0.85")).quantize(Decimal("0.01"))
    caps.set_(
        principal=desk.agency.principals.alice, client=desk.agency.northwind, scope=Scope.ACCOUNT,
        period=Period.DAY, amount=room, reason="agreed", now=desk.now, ad_account=desk.account,
    )  # fmt: skip
    page = Person._read(alice.http.get(f"/batches/{batch}/"))
    assert "It cannot be approved now: " in page.text and "could spend up to" in page.text
    assert f'action="/batches/{batch}/approve"' not in page.text
    assert page.text.count(">not now<") == 1, "the first fits, the second does not fit beside it"
