"""The named templates: each fires in its own world, is silent in a clean one, and reads back as it is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from strategies.engine.grammar import BadTree
from strategies.engine.judge import judge, prepare
from strategies.engine.language import dump_document, parse_document
from strategies.engine.library import TEMPLATES, UNITS, Ground, default, instantiate
from strategies.engine.reading import read_rules
from strategies.engine.types import Action, Verdict
from tests.strategies.figures import snapshot, subject

GROUND = Ground(target_cpa=Decimal(20), largest_budget=Decimal(100))
#: What only a person can say.
MONEY = {"base": "50", "at_least": "10", "week": "1000", "month": "4000", "warn": "3500"}
NIGHT = datetime(2026, 11, 19, 8, 0, tzinfo=UTC)  # 3:00 in New York
MIDNIGHT = datetime(2026, 11, 19, 5, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 19, 17, 0, tzinfo=UTC)

# fmt: off
READ_BACK = {
    "stop_loss": (
        "Pause an ad set when CPA is above 2 x the client's target CPA, judged on those of the last 14 full"
        " days that are at least 90 % reported.",
    ),
    "zero_conversion_stop": (
        "Pause an ad set when spend is at least 3 x the client's target CPA over the last 7 full days and"
        " conversions is at most 0 over the last 7 full days and today.",
    ),
    "surf": (
        'Set the daily budget of an ad set to USD 50 when hour of the day is below 1:00.',
        "Raise the daily budget of an ad set by 15 %, to at most USD 100 when hour of the day is at least"
        " 1:00 and CPA is at most 0.7 x the client's target CPA, judged on today.",
    ),
    "revive_late": (
        "Start an ad set that this strategy paused when paused by this strategy is yes and CPA is at most"
        " 0.9 x the client's target CPA, judged on the last 14 full days.",
        "Pause an ad set when paused by this strategy is no and CPA is above 1.5 x the client's target CPA,"
        " judged on the last 14 full days.",
    ),
    "gradual_sunset": (
        "Pause an ad set when daily budget is at most USD 10 and CPA is above 1.3 x the client's target CPA,"
        " judged on those of the last 14 full days that are at least 90 % reported.",
        "Lower the daily budget of an ad set by 20 %, to at least USD 10 when daily budget is above USD 10"
        " and CPA is above 1.3 x the client's target CPA, judged on those of the last 14 full days that are"
        " at least 90 % reported.",
    ),
    "frequency_cap": (
        'Pause an ad set for 3 days when frequency is above 4, judged on the last 7 full days.',
    ),
    "fatigue_rotate": (
        "Pause an ad and tell people (info): 'An ad is tired: add a fresh one.' when impressions is at least"
        " 5,000 over the last 7 full days and CTR over the last 7 full days is below 0.7 x CTR over the last"
        " 28 full days and not (its CTR is among the highest of its siblings over the last 7 full days).",
    ),
    "day_parting": (
        "Pause an ad set until 06:00 of the account's clock when hour of the day is at least 0:00 and hour"
        " of the day is below 6:00.",
    ),
    "weekly_pacing": (
        "Lower the daily budget by 15 %, to at least USD 10 when the account's spend is above USD 1,000,"
        " judged on the last 6 full days and today.",
    ),
    "month_envelope": (
        "Also about what is in Meta's learning phase.",
        "Pause until 00:00 of the account's clock when the account's spend is at least USD 4,000, judged on"
        " the last 29 full days and today.",
        "Tell people (warning): \"The month's money is nearly used up.\" when the account's spend is at least"
        " USD 3,500, judged on the last 29 full days and today.",
    ),
    "budget_shift": (
        "Move daily budget of an ad set between siblings towards the better CPA over those of the last 14"
        " full days that are at least 90 % reported, each by at most 10 % and none below USD 10 when"
        " conversions is at least 10, judged on those of the last 14 full days that are at least 90 %"
        " reported.",
    ),
    "scale_winners": (
        "Raise the daily budget of an ad set by 10 %, to at most USD 100 when CPA is at most 0.8 x the"
        " client's target CPA over the last 7 full days and CPA is at most 0.8 x the client's target CPA"
        " over the last 28 full days and conversions is at least 20 over the last 28 full days.",
    ),
    "learning_protect": (
        "Also about what is in Meta's learning phase.",
        "Pause an ad set when learning stage is LEARNING and spend is at least 6 x the client's target CPA"
        " and conversions is at most 0, judged on the last 7 full days and today.",
        "Tell people (info) about an ad set: 'Learning is limited: join ad sets or widen the audience.' when"
        " learning stage is FAIL.",
    ),
    "broken_tracking_hold": (
        "Pause for 3 hours and tell people (critical): 'Clicks and no result in the whole account: look at"
        " the tracking.' when the account's conversions is at least 140 over the last 28 full days and the"
        " account's clicks (all) is at least 200 over the last full day and today and the account's"
        " conversions is at most 0 over the last full day and today.",
    ),
    "overspend_guard": (
        "Also about what is in Meta's learning phase.",
        "Pause until 00:00 of the account's clock when spend is above 1.75 x its daily budget, judged on today.",
        "Tell people (warning): \"Today's spend is above the daily budget.\" when spend is above 1.4 x its"
        " daily budget, judged on today.",
    ),
    "night_watch": (
        "Also about what is in Meta's learning phase.",
        "Pause a campaign until 06:00 of the account's clock and tell people (critical): 'Paused for the"
        " night: it spent far too fast.' when (hour of the day is at least 0:00 and hour of the day is below"
        " 6:00) and spend over the last 3 full hours is above 0.1 x spend over the last 7 full days.",
    ),
}
# fmt: on


def document(key, **given):
    template = TEMPLATES[key]
    asked = {
        name: MONEY[name]
        for name, parameter in template.parameters.items()
        if parameter.unit == "money" and default(parameter, GROUND) is None
    }
    return instantiate(template, given={**asked, **given}, ground=GROUND)


def filled(key, name, value):
    """The document with that parameter, or why there is none."""
    try:
        return document(key, **{name: f"{value:f}"})
    except BadTree as bad:
        return bad


def figures(**given):
    return {name: Decimal(value) for name, value in given.items()}


def ad_set(object_id="10", *, windows=None, account=None, **given):
    """A running ad set; `windows` and `account` are figures by window, its own and the account's."""
    around = {"account": {window: figures(**values) for window, values in (account or {}).items()}}
    values = {window: figures(**values) for window, values in (windows or {}).items()}
    return replace(subject(object_id, around=around, **given), values=values)


def wants(key, *subjects, now=NOON, **given):
    """The actions that the template wants of each object, by its id."""
    rules = document(key, **given)
    shot = prepare(rules, snapshot(*subjects, targets={"cpa": Decimal(20)}), now=now)
    found = [judge(rules, one, shot, now=now) for one in shot.subjects]
    assert all(one.verdict in (Verdict.FIRED, Verdict.NOT_MET) for one in found), [
        one.reason for one in found
    ]
    return {one.subject.object_id: {intent.action for intent in one.intents} for one in found if one.intents}


MATURE = "last_14d_mature_90"


def dear(window=MATURE, cpa="45", spend="1000", **given):
    return ad_set(windows={window: {"cpa": cpa, "spend": spend, "conversions": "22"}}, **given)


def spent(spend, conversions, **given):
    windows = {
        window: {"spend": spend, "conversions": conversions} for window in ("last_7d", "last_7d_and_today")
    }
    return ad_set(windows=windows, **given)


def ads(*ctrs, before="2.0"):
    return [
        ad_set(
            str(number),
            level="ad",
            windows={
                "last_7d": {"ctr": ctr, "impressions": "9000"},
                "last_28d": {"ctr": before, "impressions": "40000"},
            },
        )
        for number, ctr in enumerate(ctrs)
    ]


def winner(cpa):
    one = {"cpa": cpa, "spend": "500", "conversions": "40"}
    return ad_set(windows={"last_7d": one, "last_28d": one})


def siblings(one, other):
    return [
        ad_set(
            name, windows={MATURE: {"cpa": cpa, "spend": "300", "conversions": "20", "impressions": "9000"}}
        )
        for name, cpa in (("10", one), ("11", other))
    ]


def of_account(window, **values):
    return ad_set(account={window: values})


def tracked(now):
    account = {
        "last_28d": {"conversions": "300", "clicks": "9000"},
        "last_1d_and_today": {"conversions": now, "clicks": "500"},
    }
    return ad_set(account=account)


def at_night(spend):
    return ad_set(
        level="campaign", parent_id=None, windows={"last_3h": {"spend": spend}, "last_7d": {"spend": "350"}}
    )


def today(spend, cpa="12"):
    return ad_set(windows={"today": {"spend": spend, "cpa": cpa, "conversions": "20"}})


PAUSED = {"status": "PAUSED", "effective_status": "PAUSED"}
STOP, REST, TELL = Action.PAUSE, Action.PAUSE_UNTIL, Action.NOTIFY
#: template, what fires it, what it wants then of object 10 (of ads: 1), a clean world, the time.
WORLDS = [
    ("stop_loss", [dear()], {STOP}, [dear(cpa="39")], NOON),
    ("zero_conversion_stop", [spent("60", "0")], {STOP}, [spent("59", "0")], NOON),
    ("zero_conversion_stop", [spent("60", "0")], {STOP}, [spent("600", "1")], NOON),
    ("surf", [today("200")], {Action.RAISE_BUDGET}, [today("200", cpa="15")], NOON),
    ("surf", [ad_set(daily_budget=Decimal(80), windows={"today": {"spend": "200", "cpa": "12"}})],
     {Action.SET_BUDGET}, [today("200")], MIDNIGHT),
    ("revive_late", [dear("last_14d", "17", paused_at=NIGHT, **PAUSED)], {Action.START},
     [dear("last_14d", "25", paused_at=NIGHT, **PAUSED)], NOON),
    ("revive_late", [dear("last_14d", "31")], {STOP}, [dear("last_14d", "25")], NOON),
    ("gradual_sunset", [dear(cpa="27")], {Action.LOWER_BUDGET}, [dear(cpa="25")], NOON),
    ("gradual_sunset", [dear(cpa="27", daily_budget=Decimal(10))], {STOP},
     [dear(cpa="25", daily_budget=Decimal(10))], NOON),
    ("frequency_cap", [ad_set(windows={"last_7d": {"frequency": "4.1", "impressions": "9000"}})], {REST},
     [ad_set(windows={"last_7d": {"frequency": "4", "impressions": "9000"}})], NOON),
    ("fatigue_rotate", ads("1.6", "1.3"), {STOP, TELL}, ads("1.6", "1.5"), NOON),
    ("day_parting", [ad_set()], {REST}, None, NIGHT),
    ("weekly_pacing", [of_account("last_6d_and_today", spend="1001")], {Action.LOWER_BUDGET},
     [of_account("last_6d_and_today", spend="1000")], NOON),
    ("month_envelope", [of_account("last_29d_and_today", spend="4000")], {REST, TELL},
     [of_account("last_29d_and_today", spend="3499")], NOON),
    ("budget_shift", siblings("10", "30"), {Action.REBALANCE}, siblings("20", "20"), NOON),
    ("scale_winners", [winner("16")], {Action.RAISE_BUDGET}, [winner("17")], NOON),
    ("learning_protect", [spent("120", "0", learning_stage="LEARNING")], {STOP},
     [spent("120", "1", learning_stage="LEARNING")], NOON),
    ("learning_protect", [spent("10", "1", learning_stage="FAIL")], {TELL}, [spent("500", "0")], NOON),
    ("broken_tracking_hold", [tracked("0")], {REST, TELL}, [tracked("1")], NOON),
    ("overspend_guard", [today("88")], {REST, TELL}, [today("70")], NOON),
    ("overspend_guard", [today("71")], {TELL}, [today("70")], NOON),
    ("night_watch", [at_night("36")], {REST, TELL}, [at_night("34")], NIGHT),
]  # fmt: skip


@pytest.mark.parametrize(("key", "world", "wanted", "clean", "now"), WORLDS)
def test_a_template_fires_in_its_world_and_not_in_a_clean_one(key, world, wanted, clean, now):
    found = wants(key, *world, now=now)
    assert found["1" if key == "fatigue_rotate" else "10"] == wanted
    if clean is None:  # the clock alone
        assert wants(key, *world, now=NOON) == {}
    else:
        assert wants(key, *clean, now=now) == {}


def test_every_template_has_a_world():
    assert {key for key, *_ in WORLDS} == set(TEMPLATES) == set(READ_BACK)
    assert len(TEMPLATES) >= 16


def test_the_best_ad_of_an_ad_set_is_never_rotated_out():
    assert wants("fatigue_rotate", *ads("0.5", "0.4", "0.3")) == {"1": {STOP, TELL}, "2": {STOP, TELL}}


@pytest.mark.parametrize("key", sorted(TEMPLATES))
def test_a_template_reads_back_as_it_is_meant(key):
    assert read_rules(document(key), currency="USD") == READ_BACK[key]


@pytest.mark.parametrize("key", sorted(TEMPLATES))
def test_a_template_is_a_document_of_the_language_and_says_what_it_rests_on(key):
    template = TEMPLATES[key]
    assert parse_document(dump_document(document(key))) == document(key)
    assert all(len(note) > 30 for note in (template.rests_on, template.risks, template.not_when))
    for parameter in template.parameters.values():
        assert parameter.unit in UNITS
        assert parameter.least < parameter.most
        assert parameter.default is None or parameter.least <= parameter.default <= parameter.most


@pytest.mark.parametrize("key", sorted(TEMPLATES))
def test_every_bound_of_a_template_makes_a_document_or_says_what_does_not_fit(key):
    for name, parameter in TEMPLATES[key].parameters.items():
        for edge in (parameter.least, parameter.most):
            found = filled(key, name, edge)
            if isinstance(found, BadTree):
                assert all("below" in text or "another hour" in text for _, text in found.errors)
            else:
                assert parse_document(dump_document(found)) == found


@pytest.mark.parametrize(
    ("key", "given", "path"),
    [
        ("stop_loss", {"times": "1"}, "times"),
        ("stop_loss", {"times": "NaN"}, "times"),
        ("stop_loss", {"times": 2.5}, "times"),
        ("stop_loss", {"days": "7.5"}, "days"),
        ("stop_loss", {"days": True}, "days"),
        ("stop_loss", {"day": 7}, "day"),
        ("scale_winners", {"step": "21"}, "step"),
        ("day_parting", {"from": 6, "until": 6}, "until"),
        ("overspend_guard", {"warn": "2"}, "warn"),
        ("surf", {"base": "100"}, "base"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(key, given, path):
    with pytest.raises(BadTree) as refused:
        document(key, **given)
    assert [at for at, _ in refused.value.errors] == [path]


def test_what_nobody_knows_is_asked_for():
    with pytest.raises(BadTree) as refused:
        instantiate(TEMPLATES["scale_winners"], given={}, ground=Ground())
    assert dict(refused.value.errors) == {
        "cpa": "is needed: the client has no target CPA",
        "at_most": "is needed: nothing in the account says it",
    }


def test_an_amount_that_is_given_is_taken_instead_of_the_clients_target():
    (line,) = read_rules(document("stop_loss", cpa="12.5", times="3"), currency="EUR")
    assert line.startswith("Pause an ad set when CPA is above EUR 37.5,")


def test_hours_go_over_midnight():
    assert wants("day_parting", ad_set(), now=NIGHT, **{"from": 22, "until": 5}) == {"10": {REST}}
    assert wants("day_parting", ad_set(), now=NOON, **{"from": 22, "until": 5}) == {}
