"""Back-tests over a shop that was read, judged and restated day after day: as it was known, and told again the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

import insights.analytics as analytics
from accounts.errors import Conflict, Invalid
from accounts.leases import take
from campaigns.changes import ledger
from campaigns.changes.ledger import Actor
from campaigns.models import AdSet
from strategies import archive as archives
from strategies import backtests, cycle, documents, drafts, faithful
from strategies.models import Backtest, Decision
from tests.strategies.conftest import FIGURES, plant

pytestmark = pytest.mark.django_db

#: Ad set 22 is poor from the start, 21 good until the fourth day.
MORNINGS = [
    {},
    {"22": ("12.00", 2000, 9)},
    {"22": ("12.00", 2000, 7), "23": ("9.00", 1500, 30)},
    {"21": ("30.00", 2000, 8)},
    {"21": ("12.00", 2000, 40)},
]


def live(shop, strategy=None, mornings=MORNINGS, first=19):
    """At six in the shop's morning, from that day of November on, the days are read again, and judged."""
    start = datetime(2026, 11, first, 11, 0, tzinfo=UTC)
    for number, changed in enumerate(mornings):
        shop.clock.advance((start + timedelta(days=number) - shop.clock.now()).total_seconds())
        shop.today = shop.clock.now().date()
        plant(shop, {**FIGURES, **changed})
        if strategy is not None:
            cycle.run(strategy=strategy, now=shop.clock.now())
    shop.clock.advance(3600)


def edit(shop, object_id, before, after, *, field="daily_budget"):
    """Somebody edits an ad set outside, and the product learns of it."""
    with ledger.locked(shop.ad_account.pk):
        ledger.record(
            ad_account_id=shop.ad_account.pk,
            client_id=shop.northwind.pk,
            kind="edit",
            now=shop.clock.now(),
            by=Actor(by="outside"),
            level="adset",
            object_id=object_id,
            field=field,
            before=before,
            after=after,
        )
    AdSet.objects.of(shop.northwind).filter(meta_id=object_id).update(**{field: after})


def ask(shop, strategy, **data):
    wish = backtests.read_wish(
        {"since": "2026-11-19", **data}, ad_account=shop.ad_account, now=shop.clock.now()
    )
    return backtests.request(
        strategy=strategy, principal=shop.principals.bob, wish=wish, now=shop.clock.now()
    )


def result(shop, strategy, **data):
    row = ask(shop, strategy, **data)
    assert backtests.run(backtest_id=row.pk, clock=shop.clock.now)
    row.refresh_from_db()
    assert row.error == ""
    return row


def fired(row):
    """The first layer: what it says that the rule would have done, and on which numbers."""
    return [
        {key: value for key, value in one.items() if key not in ("after", "model")}
        for one in row.result["firings"]
    ]


def brief(row):
    return [(one["at"][:10], one["object_id"], one["action"], one["target"]) for one in row.result["firings"]]


def test_it_fires_once_on_the_day_then_rests_and_goes_on_from_what_it_left(shop, strategy):
    live(shop)
    row = result(shop, strategy)
    assert brief(row) == [
        ("2026-11-19", "21", "raise_budget", "60"),
        ("2026-11-19", "22", "pause", "PAUSED"),
        # On the 20th 21 rests and 22 does not run any more.
        ("2026-11-21", "23", "raise_budget", "60"),
        # One poor day of 21 is no evidence yet, so it is not stopped on the 22nd.
    ]
    assert row.result["reasons"]["resting"] >= 2
    first = row.result["firings"][1]
    assert first["numbers"][0] == {
        "label": "ctr", "window": "last_7d", "left": "0.4", "op": "<", "right": "0.80",
    }  # fmt: skip
    assert (row.state, row.done, row.total) == ("done", 4, 4)
    assert row.data_version == row.result["data_version"] > 1


def test_a_day_restated_after_a_decision_does_not_move_it(shop, strategy):
    live(shop)
    before = result(shop, strategy)
    period = {"level": "adset", "since": date(2026, 11, 12), "until": date(2026, 11, 18), "metrics": ("ctr",)}
    was = analytics.table(shop.ad_account, now=shop.clock.now(), **period)
    # Every day of the last week says something else from now on: 22 was the best, 21 the poorest.
    plant(shop, {"21": ("40.00", 2000, 1), "22": ("1.00", 2000, 90), "23": ("1.00", 2000, 90)})
    shop.clock.advance(60)
    now_said = analytics.table(shop.ad_account, now=shop.clock.now(), **period)
    assert [row.values for row in was.rows] != [row.values for row in now_said.rows]
    after = result(shop, strategy)
    assert fired(after) == fired(before)
    assert after.data_version > before.data_version
    # What the paused one did afterwards is told as it is known by now.
    assert after.result["firings"][1]["after"]["spend"] != before.result["firings"][1]["after"]["spend"]


def test_a_rule_that_really_ran_says_again_what_was_logged(shop, strategy):
    live(shop, strategy, MORNINGS[:2])
    edit(shop, "21", "50", "100")
    edit(shop, "22", "ACTIVE", "PAUSED", field="status")
    AdSet.objects.of(shop.northwind).filter(meta_id="22").update(effective_status="PAUSED")
    live(shop, strategy, MORNINGS[2:], first=21)
    edit(shop, "22", "PAUSED", "ACTIVE", field="status")
    edit(shop, "21", "100", "35")
    plant(shop, {"21": ("40.00", 2000, 1), "22": ("1.00", 2000, 90), "23": ("1.00", 2000, 90)})
    found = faithful.check(
        strategy=strategy, since=datetime(2026, 11, 18, tzinfo=UTC), until=shop.clock.now()
    )
    assert found.differences == ()
    assert found.logged == found.same == Decision.objects.of(shop.northwind).count() >= 12
    verdicts = set(Decision.objects.of(shop.northwind).values_list("verdict", flat=True))
    assert {"fired", "held", "excluded", "unknown"} <= verdicts


def test_a_record_that_says_something_else_is_found(shop, strategy):
    live(shop, strategy, MORNINGS[:2])
    row = Decision.objects.of(shop.northwind).filter(verdict="fired").first()
    Decision.everything.filter(pk=row.pk).update(verdict="not_met")
    found = faithful.check(
        strategy=strategy, since=datetime(2026, 11, 18, tzinfo=UTC), until=shop.clock.now()
    )
    assert (found.logged - found.same, found.differences[0]["object_id"]) == (1, row.object_id)


def test_structure_is_that_of_then(shop, strategy):
    live(shop, mornings=MORNINGS[:2])
    edit(shop, "21", "50", "100")  # no raise can reach beyond 100 from then on
    live(shop, mornings=MORNINGS[2:4], first=21)
    row = result(shop, strategy, until="2026-11-19")
    assert brief(row)[0] == ("2026-11-19", "21", "raise_budget", "60")
    assert row.result["firings"][0]["before"] == "50"
    assert row.result["firings"][0]["after"]["marks"] == ["really_edited", "may_still_move"]
    assert not row.result["firings"][0]["after"]["exact"]


def test_what_a_paused_object_really_did_is_summed_over_the_days_after(shop, strategy):
    live(shop)
    told = result(shop, strategy).result["firings"][1]["after"]
    # 20 to 22 November, at the USD 12 a day that were stored for it last.
    assert (told["since"], told["until"], told["days"], told["spend"]) == (
        "2026-11-20",
        "2026-11-22",
        3,
        "36",
    )
    assert told["marks"] == ["may_still_move"]


def test_days_that_had_not_been_read_fire_nothing_unless_hindsight_is_asked_for(shop, strategy):
    shop.clock.advance(24 * 3600)
    row = result(shop, strategy, since="2026-11-18", until="2026-11-18")  # six hours before the first read
    assert (brief(row), row.result["instants"]) == ([], {"unread": 1})
    assert row.result["unread"] == ["2026-11-18T11:00:00+00:00"]
    row = result(shop, strategy, since="2026-11-18", until="2026-11-18", hindsight=True)
    assert row.result["instants"] == {"hindsight": 1}
    assert [one[1:3] for one in brief(row)] == [("21", "raise_budget"), ("22", "pause")]


def test_another_strategys_open_wish_of_then_outranks_it(shop, strategy):
    stop = drafts.create(
        principal=shop.principals.bob,
        ad_account=shop.ad_account,
        data={
            "name": "Stop the good one",
            "document": {
                "cases": [
                    {
                        "name": "stop",
                        "when": {"metric": "spend", "op": ">", "than": {"number": "80"}},
                        "do": [{"action": "pause"}],
                    }
                ],
                "level": "budget_owner",
                "scope": {"only": ["21"]},
            },
        },
        now=shop.clock.now(),
    )
    live(shop, stop, MORNINGS[:2])
    shop.clock.advance(-1800)
    row = result(shop, strategy, hour=7, until="2026-11-19")
    assert "21" not in {one[1] for one in brief(row)}
    assert row.result["reasons"]["outranked"] == 1


def test_questions_grow_with_instants_and_not_with_objects(shop, strategy):
    live(shop)
    archive = archives.open_(
        ad_account=shop.ad_account,
        document=documents.of(strategy),
        since=datetime(2026, 11, 18, tzinfo=UTC),
    )
    moments = [datetime(2026, 11, day, 11, tzinfo=UTC) for day in (19, 20, 21)]

    def asked(moments):
        cache.clear()
        with CaptureQueriesContext(connection) as seen:
            told = backtests.replay(archive, version=1, moments=moments)
        return len(seen), told

    few, _ = asked(moments[:1])
    more, told = asked(moments)
    assert 0 < few <= 14
    assert more <= 3 * few
    common = {"client": shop.northwind, "ad_account": shop.ad_account, "seen_at": shop.clock.now()}
    campaign = AdSet.objects.of(shop.northwind).first().campaign
    for number in range(40, 80):
        AdSet.everything.create(
            meta_id=str(number), campaign=campaign, daily_budget=50, status="ACTIVE", **common,
            effective_status="ACTIVE",
        )  # fmt: skip
    shop.clock.advance(3600)
    plant(shop, {**FIGURES, **{str(number): ("12.00", 2000, 40) for number in range(41, 49)}})
    archive = archives.open_(
        ad_account=shop.ad_account, document=archive.document, since=datetime(2026, 11, 18, tzinfo=UTC)
    )
    many, again = asked(moments)
    assert many <= more
    assert sum(again.verdicts.values()) == sum(told.verdicts.values()) + 3 * 40


def test_one_waits_at_a_time_and_the_old_ones_go(shop, strategy):
    live(shop, mornings=MORNINGS[:2])
    row = ask(shop, strategy)
    with pytest.raises(Conflict):
        ask(shop, strategy)
    assert backtests.waiting() == row.pk
    backtests.run(backtest_id=row.pk, clock=shop.clock.now)
    assert backtests.waiting() is None
    ready = {"state": "done", "total": 1, "hour": 6, "every_hours": 24, "document": {"cases": []}}
    for _ in range(backtests.KEPT + 3):
        Backtest.everything.create(
            client=shop.northwind, ad_account=shop.ad_account, strategy=strategy, strategy_version=1,
            since=row.since, until=row.until, created_at=shop.clock.now(), **ready,
        )  # fmt: skip
    ask(shop, strategy)
    assert Backtest.objects.of(shop.northwind).count() == backtests.KEPT


def test_a_run_that_was_cut_off_begins_again_and_ends_the_same(shop, strategy):
    live(shop)
    whole = result(shop, strategy)
    row = ask(shop, strategy)
    Backtest.everything.filter(pk=row.pk).update(state="running", done=2, started_at=shop.clock.now())
    take(name=f"backtest:{row.pk}", holder="the one that died", seconds=120, now=shop.clock.now())
    assert not backtests.run(backtest_id=row.pk, clock=shop.clock.now)
    shop.clock.advance(121)
    assert backtests.run(backtest_id=row.pk, clock=shop.clock.now)
    row.refresh_from_db()
    assert (row.state, row.done, fired(row)) == ("done", 4, fired(whole))


def test_a_run_that_takes_too_long_says_so(shop, strategy):
    live(shop)
    row = ask(shop, strategy)

    def slow():
        shop.clock.advance(300)
        return shop.clock.now()

    backtests.run(backtest_id=row.pk, clock=slow)
    row.refresh_from_db()
    assert (row.state, row.result) == ("failed", None)
    assert "fewer days" in row.error


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-11-18"}, "until"),
        ({"since": "2026-11-17", "until": "2026-11-16"}, "until"),
        ({"hour": 24}, "hour"),
        ({"hour": True}, "hour"),
        ({"everyHours": 5}, "everyHours"),
        ({"since": "2024-11-17"}, "since"),
        ({"hindsight": 1}, "hindsight"),
        ({"sins": 1}, "sins"),
    ],
)
def test_a_wish_that_cannot_be_run_is_refused_by_name(shop, data, key):
    with pytest.raises(Invalid) as refused:
        backtests.read_wish(data, ad_account=shop.ad_account, now=shop.clock.now())
    assert key in {name for name, _ in refused.value.errors}


def test_an_hour_that_a_day_does_not_have_is_asked_after_its_jump():
    wish = backtests.Wish(date(2027, 3, 14), date(2027, 3, 14), hour=2)
    assert backtests.instants(wish, zone="America/New_York") == [datetime(2027, 3, 14, 7, tzinfo=UTC)]
    every = backtests.Wish(date(2026, 11, 18), date(2026, 11, 19), hour=6, every_hours=12)
    assert len(backtests.instants(every, zone="America/New_York")) == 4
