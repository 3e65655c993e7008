"""A rule's way through the past: what it left behind, what really moved meanwhile, whom people are told of once."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest

from strategies.engine.backtest import Run
from strategies.engine.conflicts import Claim
from strategies.engine.language import parse_document
from strategies.engine.types import Action, Intent, Snapshot, Subject, Trust

AT = datetime(2026, 11, 18, 6, tzinfo=UTC)
DAY = timedelta(days=1)
DEAR = {"metric": "cpc", "op": ">", "than": {"number": "1.00"}}
CHEAP = {"metric": "cpc", "op": "<", "than": {"number": "0.50"}}


def document(*cases, level="adset"):
    named = [{"name": str(place), "when": when, "do": list(do)} for place, (when, *do) in enumerate(cases)]
    return parse_document({"level": level, "cases": named})


def subject(object_id="1", cpc="2.00", level="adset", **more):
    facts = {
        "name": "One", "parent_id": "9", "status": "ACTIVE", "effective_status": "ACTIVE", "daily_budget": D(50),
        "lifetime_budget": None, "owns_budget": True, "learning_stage": "SUCCESS", "start": None, "end": None,
        "campaign_id": "9", **more,
    }  # fmt: skip
    figures = {
        "cpc": D(cpc), "clicks": D(500), "impressions": D(20000), "spend": D(cpc) * 500, "conversions": D(50),
    }  # fmt: skip
    return Subject(level=level, object_id=object_id, values={"last_7d": figures}, **facts)


def snapshot(*subjects, day=0):
    until = date(2026, 11, 17) + day * DAY
    return Snapshot("USD", D("0.01"), "UTC", until - 6 * DAY, until, 1, AT, Trust.READY, (), tuple(subjects))


def walk(run, *days, others=()):
    """One instant a day; what fired on each: (action, before, target)."""
    told = []
    for day, subjects in enumerate(days):
        _, firings = run.step(snapshot(*subjects, day=day), now=AT + day * DAY, others=others)
        told.append([(one.action, one.before, one.target) for one in firings])
    return told


RAISE = {"action": "raise_budget", "percent": "20", "at_most": "80"}
PAUSE = {"action": "pause"}


def test_a_raise_rests_three_days_and_goes_on_from_its_own_budget_up_to_its_bound():
    run = Run(document((CHEAP, RAISE)), 1)
    told = walk(run, *[[subject(cpc="0.20")]] * 10)
    assert [one for day in told for one in day] == [
        ("raise_budget", "50", "60"),
        ("raise_budget", "60", "72"),
        ("raise_budget", "72", "80"),
    ]
    assert [day for day, one in enumerate(told) if one] == [0, 3, 6]


def test_what_it_paused_stays_paused_although_it_really_ran_on():
    told = walk(Run(document((DEAR, PAUSE)), 1), *[[subject()]] * 5)
    assert told == [[("pause", "ACTIVE", "PAUSED")], [], [], [], []]


def test_what_somebody_really_switched_since_stands():
    days = [[subject()], [subject(status="PAUSED", effective_status="PAUSED")], *[[subject()]] * 3]
    told = walk(Run(document((DEAR, PAUSE)), 1), *days)
    # Really paused on the second day, started on the third: it is judged again, and rests until the fourth.
    assert [len(day) for day in told] == [1, 0, 0, 1, 0]


def test_a_pause_for_a_time_ends_by_itself():
    pause = {"action": "pause_until", "hours": 48}
    told = walk(Run(document((DEAR, pause)), 1), [subject()], *[[subject(cpc="0.70")]] * 3)
    assert told == [[("pause_until", "ACTIVE", "PAUSED")], [], [("start", "PAUSED", "ACTIVE")], []]


def test_ad_sets_of_a_campaign_that_it_paused_do_not_run():
    campaign = subject("9", level="campaign", parent_id=None, owns_budget=True)
    ad_set = subject("1", cpc="0.70")
    run = Run(document((DEAR, PAUSE), level="budget_owner"), 1)
    told = walk(run, [campaign, ad_set], [campaign, subject("1")])
    assert told == [[("pause", "ACTIVE", "PAUSED")], []]


def test_people_are_told_once_while_it_lasts():
    notify = {"action": "notify", "severity": "warning", "text": "Dear"}
    days = [[subject()], [subject()], [subject(cpc="0.70")], [subject()]]
    told = walk(Run(document((DEAR, notify)), 1), *days)
    assert [len(day) for day in told] == [1, 0, 0, 1]


def test_a_stronger_wish_that_is_open_elsewhere_wins():
    intent = Intent(Action.PAUSE, "adset", "1", "One", "status", "ACTIVE", "PAUSED", "")
    run = Run(document((CHEAP, RAISE)), 1)
    assert walk(run, [subject(cpc="0.20")], others=[Claim("other", intent, open=True)]) == [[]]
    assert walk(run, [subject(cpc="0.20")]) == [[("raise_budget", "50", "60")]]


@pytest.mark.parametrize("turn", [1, -1])
def test_the_order_of_objects_changes_nothing(turn):
    run = Run(document((DEAR, PAUSE), (CHEAP, RAISE)), 1)
    subjects = [subject("1"), subject("2", cpc="0.20"), subject("3", cpc="0.70")]
    _, firings = run.step(snapshot(*subjects[::turn]), now=AT)
    assert {(one.object_id, one.action) for one in firings} == {("1", "pause"), ("2", "raise_budget")}
    first = next(one for one in firings if one.object_id == "1")
    assert [(one.label, one.left, one.op, one.right) for one in first.numbers] == [
        ("cpc", "2.00", ">", "1.00")
    ]
