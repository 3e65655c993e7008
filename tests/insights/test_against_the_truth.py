"""The product's numbers against the sandbox's own truth: every metric, level and window, in four currencies and three
zones with a clock change inside, before and after Meta restates them.

The truth comes over `/_sandbox/`, which counts the market's events; the formulas below are written out here once more,
in fractions, and share nothing with the registry but its names.
"""

import os
import random
import re
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction as F
from zoneinfo import ZoneInfo

import pytest

from campaigns.models import Ad, AdSet, Campaign
from campaigns.sync import run as sync_structure
from insights.analytics import account_today, series, table, totals, windows
from insights.fetch import LEVELS, first_sync, refresh
from insights.metrics import ADDITIVE, METRICS
from metaads.sandbox.clock import ManualClock
from tests.walks.desk import control

pytestmark = pytest.mark.django_db

#: Currency -> minor units in one unit, the zone, an hour shortly after its clocks changed, and the client's result
#: ("": what each ad set is optimised for).
ACCOUNTS = {
    "USD": (100, "America/Los_Angeles", datetime(2026, 11, 4, 15, 7, tzinfo=UTC), "omni_purchase"),
    "JPY": (1, "Asia/Tokyo", datetime(2026, 11, 4, 20, 31, tzinfo=UTC), "lead"),
    "HUF": (1, "Europe/Budapest", datetime(2026, 10, 28, 9, 12, tzinfo=UTC), ""),
    "BHD": (100, "America/Los_Angeles", datetime(2027, 3, 17, 23, 40, tzinfo=UTC), "link_click"),
}
GOODS, FEE = F(40, 100), F(25, 2) / 100
RESULTS = {
    "omni_purchase": ("purchases", "purchase_value"),
    "lead": ("leads", "lead_value"),
    "link_click": ("link_clicks", None),
    "": (None, None),
}
#: What the campaigns of this world are optimised for.
AFTER = {"Sales": "omni_purchase", "Leads": "lead", "Traffic": "link_click"}
#: Meta's classes as places in their order, by how an ad fares where 1 is usual; from 500 impressions of a day on.
CLASSES = ((1.25, 5), (0.8, 4), (0.6, 3), (0.4, 2), (0, 1))
RANKED = ("quality_ranking", "engagement_rate_ranking", "conversion_rate_ranking")
MONEY = (
    "spend", "purchase_value", "lead_value", "add_to_cart_value", "checkout_value", "registration_value",
)  # fmt: skip
WINDOWS = ("1d_click", "7d_click", "1d_view", "1d_click_1d_view", "7d_click_1d_view")
DAYS = (1, 3, 7, 14, 28)
#: People are counted once within a period, so Meta is asked for exactly these.
REACHED = (1, 7, 28)


def ratio(top, over, times=1):
    return lambda t: None if t[top] is None or not t[over] else t[top] * times / t[over]


def of(name):
    return lambda t: t[name]


def profit(t):
    value = t["conversion_value"]
    return None if value is None else value - value * GOODS - t["spend"] - t["spend"] * FEE


def margin(t):
    return None if not t["conversion_value"] else profit(t) / t["conversion_value"] * 100


FORMULAS = {
    **{
        name: of(name)
        for name in (
            "spend", "impressions", "reach", "clicks", "link_clicks", "outbound_clicks", "landing_page_views",
            "engagements", "video_plays", "video_views", "video_p25", "video_p50", "video_p75", "video_p100",
            "thruplays", "conversions", "conversion_value", "purchases", "purchase_value", "leads", "lead_value",
            "add_to_carts", "add_to_cart_value", "checkouts", "checkout_value", "registrations", "registration_value",
        )
    },
    **{name: of(name) for name in RANKED},
    "frequency": ratio("impressions", "reach"),
    "reach_efficiency": ratio("reach", "impressions", 100),
    "cpp": ratio("spend", "reach", 1000),
    "engagement_rate": ratio("engagements", "impressions", 100),
    "view_rate": ratio("video_views", "impressions", 100),
    "hold_rate": ratio("thruplays", "video_views", 100),
    "cost_per_view": ratio("spend", "video_views"),
    "cost_per_thruplay": ratio("spend", "thruplays"),
    "ctr": ratio("clicks", "impressions", 100),
    "link_ctr": ratio("link_clicks", "impressions", 100),
    "cpc": ratio("spend", "clicks"),
    "cpm": ratio("spend", "impressions", 1000),
    "cost_per_link_click": ratio("spend", "link_clicks"),
    "outbound_ctr": ratio("outbound_clicks", "impressions", 100),
    "cost_per_landing_page_view": ratio("spend", "landing_page_views"),
    "landing_page_view_rate": ratio("landing_page_views", "link_clicks", 100),
    "conversion_rate": ratio("conversions", "clicks", 100),
    "cpa": ratio("spend", "conversions"),
    "roas": ratio("conversion_value", "spend"),
    "value_per_conversion": ratio("conversion_value", "conversions"),
    "cost_per_purchase": ratio("spend", "purchases"),
    "cost_per_lead": ratio("spend", "leads"),
    "purchase_roas": ratio("purchase_value", "spend"),
    "profit": profit,
    "profit_margin": margin,
}  # fmt: skip


class World:
    """One ad account of the sandbox, connected and read, with the way to what really happened there."""

    def __init__(self, currency, agency, sandbox, clock):
        from accounts.ad_accounts import enable
        from accounts.connections import connect
        from accounts.models import AdAccount

        self.unit, zone, _, self.result = ACCOUNTS[currency]
        self.sandbox, self.clock = sandbox, clock
        client = agency.northwind
        client.result_action = self.result
        client.goods_cost_percent, client.fee_percent = Decimal(40), Decimal("12.5")
        client.save()
        who = agency.principals.alice
        connect(
            client=client,
            principal=who,
            token=sandbox.token("alice"),
            now=clock.now(),
            user=agency.users.alice,
        )
        self.account = AdAccount.objects.of(client).get(currency=currency)
        enable(ad_account=self.account, principal=who, now=clock.now())
        self.account.refresh_from_db()
        assert sync_structure(ad_account=self.account, now=clock.now()).state == "complete"
        assert self.account.timezone_name == zone
        self.zone = ZoneInfo(zone)

    @property
    def today(self):
        return account_today(self.account, self.clock.now())

    def truth(self, level, since, until, window="default"):
        """Object id -> numbers in whole units, as the sandbox counts them now."""
        path = {"account": self.account.act_id, "level": level, "since": str(since), "until": str(until)}
        found = control(self.sandbox, "GET", "truth", by="window", **path)["measures"]
        numbers = {}
        for key, value in found.items():
            parts = [value["by_window"][part] for part in re.findall(r"\d+d_[a-z]+|default", window)]
            mine = {name: F(value[name]) for name in value if name not in ("by_window", "standing")}
            mine |= {name: sum(F(part[name]) for part in parts) for name in parts[0]}
            mine |= dict.fromkeys(RANKED)
            # What happens at the click is credited to clicks.
            mine["landing_page_views"] *= window != "1d_view"
            for name in MONEY:
                mine[name] /= self.unit
            if mine.pop("busiest") >= 500:
                for name, standing in value["standing"].items():
                    mine[name] = F(next(place for floor, place in CLASSES if standing >= floor))
            one = key.removeprefix("act_")
            count, worth = RESULTS[self.result or self.after(level, one)]
            mine |= {"conversions": mine.get(count), "conversion_value": mine.get(worth)}
            numbers[one] = mine
        return numbers

    def after(self, level, object_id):
        """What the campaign of an object is after; the account's three campaigns are after three things."""
        if level == "account":
            return ""
        if level == "campaign":
            return AFTER[Campaign.everything.get(meta_id=object_id).name]
        return AFTER[{"adset": AdSet, "ad": Ad}[level].everything.get(meta_id=object_id).campaign.name]

    def nothing(self):
        """What is true of a day whose first minutes have shown nobody anything."""
        count, worth = RESULTS[self.result]
        bases = dict.fromkeys((base for base in FORMULAS if METRICS[base].over is None), F(0))
        bases |= {"conversions": bases.get(count), "conversion_value": bases.get(worth)}
        return bases | dict.fromkeys(RANKED)

    def hours(self, level, since, until):
        path = {"account": self.account.act_id, "level": level, "since": str(since), "until": str(until)}
        return control(self.sandbox, "GET", "truth", by="hour", **path)["hours"]


@contextmanager
def living(currency, agency, *, start, seed=11, days=29, late=0.0):
    """The account at `start`, with its last days read; `late`: seconds until Meta tells all that was delivered."""
    from metaads.clock import using
    from metaads.gateway import plugged
    from metaads.sandbox.app import Sandbox
    from tests.door import WSGIAdapter

    clock = ManualClock(start)
    box = Sandbox(world="currencies", seed=seed, clock=clock, late=late)
    with using(clock.now), plugged(WSGIAdapter(box)):
        made = World(currency, agency, box, clock)
        assert first_sync(ad_account=made.account, days=days, now=clock.now()).state == "done"
        yield made


@pytest.fixture(params=ACCOUNTS)
def currency(request):
    return request.param


@pytest.fixture
def world(currency, agency):
    with living(currency, agency, start=ACCOUNTS[currency][2]) as made:
        yield made


def six(value):
    """Six decimals, half up: the precision that is stored and written."""
    if value is None:
        return None
    sign, size = (-1 if value < 0 else 1), abs(F(value))
    return Decimal(sign * int(size * 10**6 + F(1, 2))) / 10**6


def expected(numbers, *, reached):
    """Every metric by the formulas of this file. People of a period that Meta is not asked for are not known."""
    mine = dict(numbers)
    if not reached and mine["impressions"]:
        mine["reach"] = None
    return {name: formula(mine) for name, formula in FORMULAS.items()}


def differences(got, wanted):
    """Metrics that differ. Sums are compared to the last digit, ratios at six decimals."""
    return {
        name: (value, wanted[name])
        for name, value in got.items()
        if six(value) != six(wanted[name])
        or (METRICS[name].over is None and value is not None and F(value) != wanted[name])
    }


def compare(world, since, until, *, window="default", reached=None):
    """`table`, `totals` and `windows` against the truth, at every level."""
    account, now, days = world.account, world.clock.now(), (until - since).days + 1
    reached = days in REACHED if reached is None else reached
    moving = until == world.today - timedelta(days=1)
    for level in LEVELS:
        truth = world.truth(level, since, until, window)
        wanted = {one: expected(numbers, reached=reached) for one, numbers in truth.items()}
        answer = table(
            account,
            level=level,
            since=since,
            until=until,
            metrics=tuple(METRICS),
            now=now,
            attribution=window,
        )
        assert answer.header.attribution == window
        got = {row.object_id: row.values for row in answer.rows}
        assert answer.header.trust.state == ("ready" if got else "empty"), (
            level,
            since,
            until,
            answer.header.trust,
        )
        assert got.keys() <= wanted.keys()
        for one, metrics in wanted.items():
            if one not in got:
                assert not any(value for name, value in truth[one].items() if value), (level, one)
                continue
            assert differences(got[one], metrics) == {}, (level, one, since, until)
        if moving and days in DAYS:
            kept = windows(account, level=level, now=now, days=days, attribution=window)
            assert set(kept.object_ids) == got.keys()
            for one in kept.object_ids:
                mine = {name: column[one] for name, column in kept.columns.items()}
                assert differences(mine, wanted[one]) == {}, (level, one, days)
    whole = totals(account, since=since, until=until, metrics=tuple(METRICS), now=now, attribution=window)
    assert whole.header.currency == account.currency
    numbers = world.truth("account", since, until, window).get(account.meta_id) or world.nothing()
    wanted = expected(numbers, reached=reached)
    assert differences(whole.values, wanted) == {}


def spans(today: date):
    """The windows that end yesterday, and the running day."""
    yesterday = today - timedelta(days=1)
    return [(yesterday - timedelta(days=days - 1), yesterday) for days in DAYS] + [(today, today)]


def test_every_metric_has_a_formula_here():
    assert FORMULAS.keys() == METRICS.keys()


def test_no_two_numbers_of_an_account_can_be_taken_for_each_other(world):
    """Else a metric over the wrong base would pass here."""
    month = spans(world.today)[-2]
    [whole] = world.truth("account", *month).values()
    ads = world.truth("ad", *month).values()
    numbers = {name: whole[name] for name in ADDITIVE}
    assert all(numbers.values()), numbers
    assert len(set(numbers.values())) == len(numbers), numbers
    for name in ADDITIVE:
        assert sum(bool(ad[name]) for ad in ads) >= (1 if name.startswith("lead") else 2), name


def test_thirty_and_ninety_days_and_a_calendar_month_are_what_happened(currency, agency):
    with living(currency, agency, start=ACCOUNTS[currency][2], days=91) as world:
        yesterday = world.today - timedelta(days=1)
        last_of_month = world.today.replace(day=1) - timedelta(days=1)
        periods = [(yesterday - timedelta(days=days - 1), yesterday) for days in (30, 90)]
        periods.append((last_of_month.replace(day=1), last_of_month))
        for since, until in periods:
            assert world.truth("account", since, since)[world.account.meta_id]["impressions"]
            compare(world, since, until, reached=False)
        world.clock.advance(86_400)
        assert refresh(ad_account=world.account, now=world.clock.now()).state == "done"
        for since, until in periods:
            compare(world, since, until, reached=False)


def test_what_is_read_again_within_one_day_is_what_happened_by_then(world):
    today, seen = world.today, []
    for seconds in (0, 1800, 5 * 3600):
        world.clock.advance(seconds)
        assert world.today == today
        assert refresh(ad_account=world.account, now=world.clock.now()).state == "done"
        seen.append(world.truth("account", today, today)[world.account.meta_id]["impressions"])
        compare(world, today, today)
    # Yesterday is read once an hour, for what is reported late; older days once a day.
    yesterday = today - timedelta(days=1)
    compare(world, yesterday, yesterday)
    assert seen[0] < seen[1] < seen[2]


def test_every_metric_level_and_window_is_what_happened_before_and_after_a_restatement(world):
    old = spans(world.today)
    for since, until in old:
        compare(world, since, until)
    month = old[-2]
    before = world.truth("account", *month)[world.account.meta_id]["add_to_carts"]
    for _ in range(2):
        world.clock.advance(14 * 86_400)
        assert refresh(ad_account=world.account, now=world.clock.now()).state == "done"
        for since, until in spans(world.today):
            compare(world, since, until)
    for since, until in old:
        compare(world, since, until)
    assert world.truth("account", *month)[world.account.meta_id]["add_to_carts"] > before


def test_every_attribution_window_is_what_was_credited_in_it_also_after_a_restatement(world):
    last_week, month = spans(world.today)[2], spans(world.today)[4]
    for window in WINDOWS:
        for since, until in (last_week, month, spans(world.today)[-1]):
            compare(world, since, until, window=window)
    world.clock.advance(10 * 86_400)
    assert refresh(ad_account=world.account, now=world.clock.now()).state == "done"
    for window in WINDOWS:
        compare(world, *month, window=window)
    # Each window is a number of its own.
    found = {window: world.truth("account", *month, window)[world.account.meta_id] for window in WINDOWS}
    assert len({numbers["add_to_carts"] for numbers in found.values()}) == len(WINDOWS)


def test_days_that_moved_while_nobody_looked_are_read_once_more(world):
    """Off for five weeks: what was young then has been restated since, and is outside of the look-back by now."""
    month = spans(world.today)[-2]
    before = world.truth("account", *month)[world.account.meta_id]["add_to_carts"]
    world.clock.advance(35 * 86_400)
    assert refresh(ad_account=world.account, now=world.clock.now()).state == "done"
    assert world.truth("account", *month)[world.account.meta_id]["add_to_carts"] > before
    compare(world, *month)


def test_hours_and_days_are_what_happened_also_when_the_clocks_change(world):
    account, now, today = world.account, world.clock.now(), world.today
    since = today - timedelta(days=6)
    names = ("spend", "impressions", "clicks", "link_clicks")
    for level in ("account", "campaign"):
        for one, days in world.hours(level, since, today).items():
            object_id = one.removeprefix("act_")
            points = series(
                account,
                level=level,
                object_id=object_id,
                since=since,
                until=today,
                metrics=names,
                by="hour",
                now=now,
            ).points
            got = {}
            for point in points:
                local = point.at.astimezone(world.zone)
                got[str(local.date()), local.hour] = {name: F(point.values[name]) for name in names}
            wanted = {
                (day, int(hour)): {
                    name: F(number, world.unit if name == "spend" else 1) for name, number in numbers.items()
                }
                for day, hours in days.items()
                for hour, numbers in hours.items()
            }
            assert got.items() <= wanted.items()
            left = {key: numbers for key, numbers in wanted.items() if key not in got}
            assert not any(number for numbers in left.values() for number in numbers.values())
    for level in LEVELS:
        ids = world.truth(level, since, today)
        by_day = {day: world.truth(level, day, day) for day in (since + timedelta(days=n) for n in range(7))}
        for one in ids:
            points = series(
                account, level=level, object_id=one, since=since, until=today, metrics=tuple(METRICS), now=now
            ).points
            assert len(points) == 7
            for point in points:
                numbers = by_day[point.at].get(one)
                if numbers is not None:
                    assert differences(point.values, expected(numbers, reached=True)) == {}, (
                        level,
                        one,
                        point.at,
                    )


def test_the_account_s_month_holds_a_day_that_is_not_24_hours_long(world):
    from insights.windows import hours, last

    lengths = {len(hours(day, world.account.timezone_name)) for day in last(7, world.today)}
    assert lengths == (
        {24} if world.account.currency == "JPY" else {24, 23 if world.today.year == 2027 else 25}
    )


@pytest.mark.prove
def test_any_seed_instant_and_pause_between_two_reads_end_in_the_truth(agency):
    """PROVE_N / 10 worlds, at any minute of two years, read again after any pause of up to 60 days."""
    from django.db import transaction

    class Undone(Exception):
        pass

    for number in range(max(4, int(os.environ.get("PROVE_N") or 0) // 10)):
        dice = random.Random(number)
        start = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(2 * 365 * 1440))
        with pytest.raises(Undone), transaction.atomic():
            with living(dice.choice(list(ACCOUNTS)), agency, start=start, seed=number) as world:
                old = spans(world.today)
                for since, until in old:
                    compare(world, since, until)
                world.clock.advance(dice.randrange(60 * 86_400))
                assert refresh(ad_account=world.account, now=world.clock.now()).state == "done"
                for since, until in [*old, *spans(world.today)]:
                    compare(world, since, until)
            raise Undone


def test_yesterday_is_followed_while_it_settles_in_the_hours_after_midnight(agency):
    """Meta tells what was delivered up to three hours late: at each look the number is what Meta shows, and in the end
    it stands."""
    midnight = datetime(2026, 11, 5, 8, 0, tzinfo=UTC)  # in Los Angeles
    with living("USD", agency, start=midnight - timedelta(hours=1), days=2, late=3 * 3600) as world:
        yesterday, seen = date(2026, 11, 4), []
        for minutes in (10, 100, 200, 270):
            world.clock.advance((midnight + timedelta(minutes=minutes) - world.clock.now()).total_seconds())
            assert refresh(ad_account=world.account, now=world.clock.now()).state == "done"
            found = totals(
                world.account,
                since=yesterday,
                until=yesterday,
                metrics=("spend", "impressions"),
                now=world.clock.now(),
            )
            assert found.header.trust.state == "ready" and found.header.checked_at == world.clock.now()
            shown = world.sandbox.truth.totals(
                world.account.act_id, since=yesterday, until=yesterday, now=world.clock.timestamp()
            )[world.account.act_id]
            assert found.values["spend"] == Decimal(shown["spend"]) / world.unit
            assert found.values["impressions"] == shown["impressions"]
            seen.append((shown["spend"], shown["impressions"]))
        assert seen[0] < seen[1] < seen[2] == seen[3]
