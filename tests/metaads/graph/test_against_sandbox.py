"""The client against the offline Graph API: two readings of Meta's documents, written apart, have to agree.

Nothing of the sandbox's code is used by the client or the other way round, so a shared mistake would need two authors.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from metaads.graph import errors, fields, money, oauth, paging, report_runs, subscriptions, usage
from metaads.graph.batch import Read
from metaads.graph.client import GraphClient
from metaads.graph.errors import Answer, Kind
from metaads.graph.transport import Transport
from metaads.graph.writer import GraphWriter
from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from tests.door import WSGIAdapter
from tests.metaads.graph.wire import session_on

SINCE, UNTIL = date(2026, 11, 10), date(2026, 11, 16)


@dataclass
class World:
    """A sandbox in process and the ways to it."""

    box: Sandbox
    clock: ManualClock
    transport: Transport
    token: str
    client: GraphClient
    writer: GraphWriter
    heard: list[Answer]

    @property
    def account(self) -> str:
        return self.box.ad_accounts()[0]

    def ad_set_with_budget(self) -> dict[str, Any]:
        rows = self.client.edge(self.account, "adsets", fields=fields.AD_SET)
        return next(row for row in rows if "daily_budget" in row)

    def posts(self) -> int:
        adapter = self.transport._pooled.get_adapter("https://graph.facebook.com/")
        return sum(request.method == "POST" for request in adapter.requests)  # type: ignore[attr-defined]


@pytest.fixture
def world() -> World:
    clock = ManualClock(datetime(2026, 11, 18, 15, 0, tzinfo=UTC))
    box = Sandbox(world="tiny", seed=7, clock=clock)
    transport = Transport(
        "https://graph.facebook.com",
        app_id=box.app_id,
        app_secret=box.app_secret,
        session=session_on(WSGIAdapter(box)),
    )
    heard: list[Answer] = []
    token = box.token()
    client = GraphClient(
        transport, token, on_answer=heard.append, sleep=lambda pause: None, random=random.Random(1)
    )
    return World(box, clock, transport, token, client, GraphWriter(transport, token), heard)


def insights(world: World, *, limit: int = 500) -> list[dict[str, Any]]:
    pages = world.client.insights(
        world.account, level="ad", since=SINCE, until=UNTIL, fields=fields.INSIGHTS, limit=limit
    )
    return [row for page in pages for row in page]


def key(row: dict[str, Any]) -> tuple[str, str]:
    return row["ad_id"], row["date_start"]


def test_every_field_that_we_ask_for_is_answered(world: World) -> None:
    for edge, asked in (
        ("campaigns", fields.CAMPAIGN),
        ("adsets", fields.AD_SET),
        ("ads", fields.AD),
        ("adcreatives", fields.CREATIVE),
        ("activities", fields.ACTIVITY),
    ):
        rows = list(world.client.edge(world.account, edge, fields=asked))
        assert rows or edge == "activities"
        assert all(set(row) <= set(asked) for row in rows)
    [account] = list(world.client.edge("me", "adaccounts", fields=fields.AD_ACCOUNT))
    assert account["id"] == world.account


def test_budgets_are_read_as_strings_of_minor_units(world: World) -> None:
    ad_set = world.ad_set_with_budget()
    assert isinstance(ad_set["daily_budget"], str)
    assert money.from_minor(ad_set["daily_budget"], "USD") > 0


def test_a_small_page_and_a_large_page_give_the_same_rows(world: World) -> None:
    assert insights(world, limit=3) == insights(world)
    assert insights(world)


def test_a_report_run_gives_the_rows_of_the_direct_read(world: World) -> None:
    run = report_runs.start(
        world.transport,
        world.token,
        world.account,
        level="ad",
        since=SINCE,
        until=UNTIL,
        fields=fields.INSIGHTS,
    )
    age = 0.0
    while report_runs.poll(world.transport, world.token, run, age_seconds=age).status != "done":
        world.clock.advance(10)
        age += 10
        assert age < 600
    rows = [row for page in report_runs.read(world.transport, world.token, run, limit=7) for row in page]
    assert sorted(map(key, rows)) == sorted(map(key, insights(world)))


def test_the_days_add_up_to_the_whole_in_exact_decimals(world: World) -> None:
    daily = sum((money.parse_major(row["spend"]) or Decimal(0) for row in insights(world)), Decimal(0))
    [[whole]] = list(
        world.client.insights(
            world.account,
            level="account",
            since=SINCE,
            until=UNTIL,
            fields=fields.INSIGHTS,
            time_increment="all_days",
        )
    )
    assert money.parse_major(whole["spend"]) == daily


def test_a_batch_answers_in_order_with_usage(world: World) -> None:
    ads = [row["id"] for row in world.client.edge(world.account, "ads", fields=("id",))]
    answers = world.client.batch([Read(ad, {"fields": "id"}) for ad in ads] + [Read("999", {"fields": "id"})])
    assert [answer.body["id"] for answer in answers[:-1]] == ads
    assert answers[-1].maybe_gone
    assert usage.parse(answers[0].headers).known


def test_a_write_is_acknowledged_once_and_read_back(world: World) -> None:
    ad_set = world.ad_set_with_budget()
    target = int(ad_set["daily_budget"]) + 500
    answer = world.writer.update(ad_set["id"], {"daily_budget": target})
    assert answer.ok
    assert world.posts() == 1
    assert world.client.node(ad_set["id"], ("daily_budget",))["daily_budget"] == str(target)


def test_a_budget_below_the_minimum_is_refused_with_the_field_named(world: World) -> None:
    answer = world.writer.update(world.ad_set_with_budget()["id"], {"daily_budget": 1})
    assert (answer.kind, answer.blame) == (Kind.REFUSED, ("daily_budget",))
    assert answer.rule in ("budget_too_low", "budget_below_spend")


@pytest.mark.fault("F42")
def test_the_fifth_budget_change_within_an_hour_waits_for_that_ad_set_only(world: World) -> None:
    ad_set = world.ad_set_with_budget()
    before = int(ad_set["daily_budget"])
    answers = [
        world.writer.update(ad_set["id"], {"daily_budget": before + 100 * step}) for step in range(1, 6)
    ]
    assert [answer.kind for answer in answers] == [Kind.OK] * 4 + [Kind.THROTTLED]
    assert (answers[-1].throttles, answers[-1].retry_after) == ("object", 3600.0)


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("applied_timeout", {Kind.UNKNOWN}),
        ("late", {Kind.UNKNOWN}),
        ("dropped", {Kind.UNKNOWN}),
        ("applied_500", {Kind.UNKNOWN, Kind.TRANSIENT}),
        ("html", {Kind.UNKNOWN}),
        ("empty", {Kind.UNKNOWN}),
        ("truncated", {Kind.UNKNOWN}),
        ("odd_body", {Kind.UNKNOWN}),
        ("lying_success", {Kind.OK}),
        ("throttle", {Kind.THROTTLED}),
        ("auth", {Kind.AUTH}),
        ("permission", {Kind.NOT_PERMITTED}),
        ("transient", {Kind.TRANSIENT}),
        ("gone33", {Kind.REFUSED}),
        ("version_retired", {Kind.REFUSED}),
    ],
)
def test_a_faulty_write_is_one_post_of_the_expected_kind(world: World, fault: str, kinds: set[Kind]) -> None:
    ad_set = world.ad_set_with_budget()["id"]
    world.box.faults.arm(fault)
    answer = world.writer.update(ad_set, {"status": "PAUSED"})
    assert answer.kind in kinds
    assert answer.sent
    assert world.posts() == 1


@pytest.mark.parametrize("fault", ["html", "empty", "truncated", "transient", "dropped", "odd_body"])
def test_a_read_gets_over_a_passing_fault(world: World, fault: str) -> None:
    expected = insights(world)
    world.heard.clear()
    world.box.faults.arm(fault)
    assert insights(world) == expected
    assert world.heard[0].kind in (Kind.UNKNOWN, Kind.TRANSIENT)


@pytest.mark.fault("F54")
def test_rows_that_come_twice_are_all_there(world: World) -> None:
    expected = {key(row): row for row in insights(world)}
    world.box.faults.arm("dup_page")
    found = insights(world, limit=5)
    assert len(found) == len(expected) + 5
    assert {key(row): row for row in found} == expected


def test_a_page_that_comes_empty_does_not_end_the_list(world: World) -> None:
    expected = [key(row) for row in insights(world)]
    world.box.faults.arm("empty_page")
    # The fault takes the first page's five rows away; everything behind it is still read.
    assert [key(row) for row in insights(world, limit=5)] == expected[5:]


def test_too_much_data_is_asked_for_in_smaller_pages(world: World) -> None:
    expected = insights(world)
    world.box.faults.arm("reduce", times=3)
    assert insights(world) == expected


def test_an_expired_cursor_restarts_the_slice(world: World) -> None:
    world.box.faults.arm("cursor_expired")
    with pytest.raises(paging.CursorExpired):
        insights(world, limit=5)
    assert insights(world, limit=5)


def test_items_that_a_batch_left_out_are_read_again(world: World) -> None:
    ads = [row["id"] for row in world.client.edge(world.account, "ads", fields=("id",))]
    world.box.faults.arm("null_batch")
    answers = world.client.batch([Read(ad, {"fields": "id"}) for ad in ads])
    assert [answer.body["id"] for answer in answers] == ads
    assert world.posts() == 2


def test_items_that_fail_inside_a_batch_stand_beside_those_that_do_not(world: World) -> None:
    ads = [row["id"] for row in world.client.edge(world.account, "ads", fields=("id",))]
    world.box.faults.arm("partial_batch")
    answers = world.client.batch([Read(ad, {"fields": "id"}) for ad in ads])
    assert {answer.kind for answer in answers} == {Kind.OK, Kind.TRANSIENT}
    assert all(answer.body["id"] == ad for ad, answer in zip(ads, answers, strict=True) if answer.ok)
    assert world.posts() == 1


def test_a_token_is_what_it_says(world: World) -> None:
    info = oauth.debug_token(world.transport, world.token)
    assert info.is_valid
    assert info.app_id == world.box.app_id
    assert {"ads_read", "ads_management"} <= set(info.scopes)
    assert oauth.me(world.transport, world.token)["id"] == info.user_id
    assert oauth.permissions(world.transport, world.token)["ads_read"] == "granted"
    assert oauth.long_lived(world.transport, world.token).expires_in


def test_a_revoked_token_is_dead_everywhere(world: World) -> None:
    oauth.revoke(world.transport, world.token)
    with pytest.raises(errors.AuthFailed):
        world.client.node("me", ("id",))
    assert not oauth.debug_token(world.transport, world.token).is_valid


def test_an_account_is_subscribed(world: World) -> None:
    subscriptions.subscribe_account(world.transport, world.token, world.account)
    assert world.box.app_id in subscriptions.account_apps(world.transport, world.token, world.account)


def test_a_wrong_secret_is_refused_with_advice(world: World) -> None:
    adapter = WSGIAdapter(world.box)
    wrong = Transport(
        "https://graph.facebook.com",
        app_id=world.box.app_id,
        app_secret="not-it",
        session=session_on(adapter),
    )
    answer = wrong.request("GET", "me", token=world.token)
    assert answer.kind in (Kind.REFUSED, Kind.AUTH)
    assert answer.advice
