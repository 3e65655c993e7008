"""Named strategies to start from: each a rule document with a few parameters, what it rests on and what it risks.

    template + ground (the account's figures) + given parameters ─> values ─> document JSON ─> `language`

A parameter that is not given takes its default: its own, or the account's (the largest daily budget that runs).
What can only come from a person has none and is asked for. A figure compared with the client's target CPA follows
the target, unless an amount is given for it.

The pieces of a shape that are filled in: "$name" is a parameter, "{name}" one inside a text, {"$cpa": times} the target
CPA so many times, {"$hours": [from, until]} the hours from the first to before the second, over midnight too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from strategies.engine.grammar import MAX_DECIMALS, BadTree
from strategies.engine.language import parse_document
from strategies.engine.rules import Document

WHOLE_UNITS: Final = frozenset({"days", "hours", "hour", "count"})
UNITS: Final = WHOLE_UNITS | {"money", "percent", "times", "frequency"}
_MOST_MONEY: Final = Decimal(10) ** 9


@dataclass(frozen=True)
class Parameter:
    """`unit` is one of `UNITS` ("times": of the target; "hour": of the account's clock). `least` to `most` is allowed.
    `of` names the account's figure that gives the default where `default` is none: "target_cpa", "largest_budget"."""

    label: str
    unit: str
    default: Decimal | None
    least: Decimal
    most: Decimal
    of: str = ""


@dataclass(frozen=True)
class Template:
    """`rests_on`, `risks` and `not_when` are the evidence note; `shape` is the document with its gaps."""

    key: str
    name: str
    summary: str
    rests_on: str
    risks: str
    not_when: str
    parameters: Mapping[str, Parameter]
    shape: Mapping[str, Any]


@dataclass(frozen=True)
class Ground:
    """What is known of the account, in its currency; `largest_budget` is the largest daily budget that runs."""

    target_cpa: Decimal | None = None
    largest_budget: Decimal | None = None


CPA: Final = "cpa"


def _money(label: str, *, of: str = "", least: str = "0.01") -> Parameter:
    return Parameter(label, "money", None, Decimal(least), _MOST_MONEY, of)


def _some(label: str, unit: str, default: str, least: str, most: str) -> Parameter:
    return Parameter(label, unit, Decimal(default), Decimal(least), Decimal(most))


_CPA: Final = _money("Target cost per result; left out, the client's own target is followed", of="target_cpa")
_TOP: Final = _money("Highest daily budget that a raise may reach", of="largest_budget")
_FLOOR: Final = _money("Lowest daily budget that a cut may reach")
_FROM: Final = _some("From this hour", "hour", "0", "0", "23")
_UNTIL: Final = _some("Until this hour", "hour", "6", "0", "23")
_SPENT: Final = _some("Spend before it is judged, in targets", "times", "3", "1", "50")


def _metric(
    metric: str, op: str, than: Mapping[str, Any], window: str = "last_7d", of: str = "self"
) -> dict[str, Any]:
    return {"metric": metric, "window": window, "of": of, "op": op, "than": dict(than)}


def _is(fact: str, text: str) -> dict[str, Any]:
    return {"fact": fact, "op": "is", "text": text}


def _at_least(metric: str, number: str, window: str, of: str = "self") -> dict[str, Any]:
    return _metric(metric, ">=", {"number": number}, window, of)


def _none_of(metric: str, window: str, of: str = "self") -> dict[str, Any]:
    return _metric(metric, "<=", {"number": "0"}, window, of)


def _case(name: str, when: Mapping[str, Any], *do: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "when": when, "do": list(do)}


_PAUSE: Final = {"action": "pause"}
_LATE: Final = "Results are reported late: a window of full, mature days is looked at."

TEMPLATES: Final[Mapping[str, Template]] = {
    one.key: one
    for one in (
        Template(
            "stop_loss",
            "Stop-loss",
            "Pauses what costs clearly more per result than the target, once enough was spent to tell.",
            f"Cost per result over mature days against the target, once it is known. {_LATE}",
            "A pause ends what an object has learned. A dear object may feed cheaper ones (first contact).",
            "Not where results take longer than the window to arrive, nor in the first days of a launch.",
            {
                CPA: _CPA,
                "times": _some("Pause above so many targets", "times", "2", "1.1", "20"),
                "days": _some("Full days looked at", "days", "14", "3", "90"),
            },
            {"level": "adset", "cases": [
                _case("too dear", _metric("cpa", ">", {"$cpa": "$times"}, "last_{days}d_mature_90"), _PAUSE),
            ]},
        ),
        Template(
            "zero_conversion_stop",
            "Zero-conversion stop",
            "Pauses what spent several targets without a single result.",
            "An object that is on target shows nothing after three targets of spend one time in 20 (e to the -3).",
            "Late results: what looks like zero may be two tomorrow. One healthy object in twenty is hit.",
            "Not with long delays between click and result, nor for reach campaigns without results.",
            {CPA: _CPA, "spent": _SPENT, "days": _some("Full days looked at", "days", "7", "1", "90")},
            {"level": "adset", "cases": [
                _case("nothing came", {"all": [
                    _metric("spend", ">=", {"$cpa": "$spent"}, "last_{days}d"),
                    _none_of("conversions", "last_{days}d_and_today"),
                ]}, _PAUSE),
            ]},
        ),
        Template(
            "surf",
            "Surf",
            "Raises the daily budget while the day runs well, and sets it back to its usual amount after midnight.",
            "Today's cost per result against the target, once it is known.",
            "A good morning is often chance; the raise pays for the average of the afternoon.",
            "Not on small budgets, where a day brings too few results to tell.",
            {
                CPA: _CPA,
                "times": _some("Raise at or below so many targets", "times", "0.7", "0.1", "1"),
                "step": _some("Step of a raise", "percent", "15", "1", "20"),
                "base": _money("Usual daily budget, which it is set back to"),
                "at_most": _TOP,
            },
            {"level": "adset", "cases": [
                _case("a new day", {"fact": "hour", "op": "<", "number": "1"},
                      {"action": "set_budget", "amount": "$base"}),
                _case("a good day", {"all": [
                    {"fact": "hour", "op": ">=", "number": "1"},
                    _metric("cpa", "<=", {"$cpa": "$times"}, "today"),
                ]}, {"action": "raise_budget", "percent": "$step", "at_most": "$at_most"}),
            ]},
        ),
        Template(
            "revive_late",
            "Revive late converters",
            "Pauses what is too dear, and starts it again when late results make it good after all.",
            "Cost per result over days that fill up late. It starts only what it paused itself.",
            "Stop and start cost learning each time; the gap between both thresholds keeps it from flapping.",
            "Not where results come within the hour: then a paused object will not get better.",
            {
                CPA: _CPA,
                "stop": _some("Pause above so many targets", "times", "1.5", "1.1", "20"),
                "start": _some("Start again at or below so many targets", "times", "0.9", "0.1", "1"),
                "days": _some("Full days looked at", "days", "14", "3", "90"),
            },
            {"level": "adset", "cases": [
                _case("good after all", {"all": [
                    _is("paused_by_this_strategy", "yes"),
                    _metric("cpa", "<=", {"$cpa": "$start"}, "last_{days}d"),
                ]}, {"action": "start"}),
                _case("too dear", {"all": [
                    _is("paused_by_this_strategy", "no"),
                    _metric("cpa", ">", {"$cpa": "$stop"}, "last_{days}d"),
                ]}, _PAUSE),
            ]},
        ),
        Template(
            "gradual_sunset",
            "Gradual sunset",
            "Lowers the budget of what got dear in steps, and pauses it when the lowest budget is reached.",
            f"Cost per result over mature days. {_LATE} Steps keep an error small and leave time to recover.",
            "Slower than a stop: a true loser costs some more days of falling budget.",
            "Not for objects that lose several times the target: take the stop-loss.",
            {
                CPA: _CPA,
                "times": _some("Dear above so many targets", "times", "1.3", "1.1", "10"),
                "step": _some("Step of a cut", "percent", "20", "1", "50"),
                "at_least": _FLOOR,
                "days": _some("Full days looked at", "days", "14", "3", "90"),
            },
            {"level": "adset", "cases": [
                _case("at its end", {"all": [
                    {"fact": "daily_budget", "op": "<=", "number": "$at_least"},
                    _metric("cpa", ">", {"$cpa": "$times"}, "last_{days}d_mature_90"),
                ]}, _PAUSE),
                _case("fading", {"all": [
                    {"fact": "daily_budget", "op": ">", "number": "$at_least"},
                    _metric("cpa", ">", {"$cpa": "$times"}, "last_{days}d_mature_90"),
                ]}, {"action": "lower_budget", "percent": "$step", "at_least": "$at_least"}),
            ]},
        ),
        Template(
            "frequency_cap",
            "Frequency cap",
            "Rests an ad set whose people saw it too often in seven days, and starts it again after some days.",
            "Frequency over the last seven full days, as Meta counts people (it is never added up from days).",
            "A small audience that still buys is rested too; frequency alone says nothing about profit.",
            "Not for retargeting, where people are meant to see it often.",
            {
                "frequency": _some("Rest above so many views for each person", "frequency", "4", "1.1", "50"),
                "rest": _some("Days of rest", "days", "3", "1", "30"),
            },
            {"level": "adset", "cases": [
                _case("seen too often", _metric("frequency", ">", {"number": "$frequency"}),
                      {"action": "pause_until", "days": "$rest"}),
            ]},
        ),
        Template(
            "fatigue_rotate",
            "Fatigue rotate",
            "Pauses an ad whose click rate fell far below its own past, unless it is still the best of its ad set.",
            "CTR of seven days against the same ad's 28 days, on a minimum of impressions; the best ad always stays.",
            "A season or a weak week looks like fatigue. Fewer ads mean a faster wear of the rest.",
            "Not in an ad set with fewer than three ads, nor where clicks and results part ways.",
            {
                "share": _some("Tired below so many times its own 28 days", "times", "0.7", "0.1", "0.95"),
                "impressions": _some("Impressions before it is judged", "count", "5000", "1000", "10000000"),
            },
            {"level": "ad", "cases": [
                _case("tired", {"all": [
                    _at_least("impressions", "$impressions", "last_7d"),
                    _metric("ctr", "<", {"metric": "ctr", "window": "last_28d", "times": "$share"}),
                    {"not": {"rank": "top", "count": 1, "by": "ctr", "window": "last_7d", "within": "parent"}},
                ]}, _PAUSE, {"action": "notify", "severity": "info", "text": "An ad is tired: add a fresh one."}),
            ]},
        ),
        Template(
            "day_parting",
            "Day-parting with exact restore",
            "Pauses during hours of the account's clock and starts exactly what it paused when they are over.",
            "The clock alone, no figure. What a person paused, or touched meanwhile, is never started.",
            "Hours without delivery also lose their late results; learning is interrupted daily.",
            "Not on the word of a few weeks: hours differ by chance. Lifetime budgets have Meta's own ad schedule.",
            {"from": _FROM, "until": _UNTIL},
            {"level": "adset", "cases": [
                _case("off hours", {"$hours": ["$from", "$until"]}, {"action": "pause_until", "hour": "$until"}),
            ]},
        ),
        Template(
            "weekly_pacing",
            "Weekly pacing",
            "Lowers daily budgets when the account's last six days and today spent more than the week's money.",
            "The account's spend over seven running days against the amount. Cuts only; nothing is raised to catch up.",
            "Every object is cut alike, good ones too. The seven days move along; they are not the calendar's week.",
            "Not beside a rule that raises on performance without a bound below the week's money.",
            {
                "week": _money("Most that the account may spend in seven days"),
                "step": _some("Step of a cut", "percent", "15", "1", "50"),
                "at_least": _FLOOR,
            },
            {"level": "budget_owner", "cases": [
                _case("ahead of the week",
                      _metric("spend", ">", {"number": "$week"}, "last_6d_and_today", "account"),
                      {"action": "lower_budget", "percent": "$step", "at_least": "$at_least"}),
            ]},
        ),
        Template(
            "month_envelope",
            "Month envelope",
            "Pauses everything until midnight when thirty running days have spent the month's money, and warns before.",
            "The account's spend over the last 29 days and today, the running day's own spend included.",
            "A stop of everything costs learning. The thirty days move along; they are not the calendar's month.",
            "Not as the only guard of a hard contract: Meta's account spending limit is the one that cannot be late.",
            {
                "month": _money("Most that the account may spend in thirty days"),
                "warn": _money("Tell people from this spend on"),
            },
            {"level": "budget_owner", "scope": {"learning": True}, "cases": [
                _case("used up", _metric("spend", ">=", {"number": "$month"}, "last_29d_and_today", "account"),
                      {"action": "pause_until", "hour": 0}),
                _case("nearly used up", _metric("spend", ">=", {"number": "$warn"}, "last_29d_and_today", "account"),
                      {"action": "notify", "severity": "warning", "text": "The month's money is nearly used up."}),
            ]},
        ),
        Template(
            "budget_shift",
            "Budget shift to best CPA",
            "Moves daily budget between sibling ad sets towards the lower cost per result, in small steps.",
            f"Cost per result over mature days, of ad sets with enough results to compare. {_LATE}",
            "The average is not the margin: the next unit of money may buy less than the last one did.",
            "Not inside campaigns that hold the budget themselves; there Meta shifts it.",
            {
                "days": _some("Full days looked at", "days", "14", "7", "90"),
                "results": _some("Results before an ad set takes part", "count", "10", "5", "1000"),
                "step": _some("Most that one budget moves", "percent", "10", "1", "20"),
                "at_least": _FLOOR,
            },
            {"level": "adset", "cases": [
                _case("comparable", _at_least("conversions", "$results", "last_{days}d_mature_90"), {
                    "action": "rebalance", "metric": "cpa", "window": "last_{days}d_mature_90",
                    "step_percent": "$step", "at_least": "$at_least",
                }),
            ]},
        ),
        Template(
            "scale_winners",
            "Scale winners in small steps",
            "Raises the daily budget of what is below the target over a short and a long window.",
            "Cost per result of seven and of 28 days, with enough results; one good week alone is not enough.",
            "Cost per result rises with budget. Steps above 20 % may start Meta's learning anew.",
            "Not where the audience is nearly used up (a frequency above 3), nor on offers with little stock.",
            {
                CPA: _CPA,
                "times": _some("Good at or below so many targets", "times", "0.8", "0.1", "1"),
                "results": _some("Results in 28 days before it is raised", "count", "20", "10", "1000"),
                "step": _some("Step of a raise", "percent", "10", "1", "20"),
                "at_most": _TOP,
            },
            {"level": "adset", "cases": [
                _case("winner", {"all": [
                    _metric("cpa", "<=", {"$cpa": "$times"}, "last_7d"),
                    _metric("cpa", "<=", {"$cpa": "$times"}, "last_28d"),
                    _at_least("conversions", "$results", "last_28d"),
                ]}, {"action": "raise_budget", "percent": "$step", "at_most": "$at_most"}),
            ]},
        ),
        Template(
            "learning_protect",
            "Learning-phase protect",
            "Leaves alone what is learning but for the runaway: much money, no result. Tells of limited learning.",
            "Meta's learning stage; in it only a spend of many targets without one result is acted on.",
            "A slow product may need more than the allowance before its first result.",
            "Not as permission for other rules to edit in the learning phase: keep those out of it.",
            {
                CPA: _CPA,
                "spent": _some("Spend allowed without a result, in targets", "times", "6", "3", "50"),
                "days": _some("Full days looked at", "days", "7", "1", "90"),
            },
            {"level": "adset", "scope": {"learning": True}, "cases": [
                _case("runaway", {"all": [
                    _is("learning_stage", "LEARNING"),
                    _metric("spend", ">=", {"$cpa": "$spent"}, "last_{days}d_and_today"),
                    _none_of("conversions", "last_{days}d_and_today"),
                ]}, _PAUSE),
                _case("learning limited", _is("learning_stage", "FAIL"), {
                    "action": "notify", "severity": "info",
                    "text": "Learning is limited: join ad sets or widen the audience.",
                }),
            ]},
        ),
        Template(
            "broken_tracking_hold",
            "Broken-tracking hold",
            "Rests delivery for some hours and alerts when clicks go on and the whole account has no result.",
            "The account's results since yesterday against those of 28 days: many before, none now, clicks as ever.",
            "A day without demand looks the same. Resting everything loses its sales if tracking alone is broken.",
            "Not in accounts with fewer than a few results a day: there a day without one is usual.",
            {
                "usual": _some("Results in 28 days that show that tracking worked", "count", "140", "84", "1000000"),
                "clicks": _some("Clicks since yesterday without any result", "count", "200", "50", "1000000"),
                "hours": _some("Hours of rest", "hours", "3", "1", "24"),
            },
            {"level": "budget_owner", "cases": [
                _case("no results at all", {"all": [
                    _at_least("conversions", "$usual", "last_28d", "account"),
                    _at_least("clicks", "$clicks", "last_1d_and_today", "account"),
                    _none_of("conversions", "last_1d_and_today", "account"),
                ]}, {"action": "pause_until", "hours": "$hours"}, {
                    "action": "notify", "severity": "critical",
                    "text": "Clicks and no result in the whole account: look at the tracking.",
                }),
            ]},
        ),
        Template(
            "overspend_guard",
            "Overspend guard",
            "Warns when a day's spend is above its budget, and pauses until midnight when it goes far beyond.",
            "Today's spend against the object's own daily budget. Meta may spend up to 75 % more on a single day.",
            "The spend of the running day is reported late by minutes: the pause comes after the money.",
            "Not with thresholds below 1.25: Meta evens a week out, so single days above the budget are usual.",
            {
                "warn": _some("Warn above so many daily budgets", "times", "1.4", "1.05", "3"),
                "stop": _some("Pause above so many daily budgets", "times", "1.75", "1.1", "5"),
            },
            {"level": "budget_owner", "scope": {"learning": True}, "cases": [
                _case("far beyond", _metric("spend", ">", {"amount": "daily_budget", "times": "$stop"}, "today"),
                      {"action": "pause_until", "hour": 0}),
                _case("beyond", _metric("spend", ">", {"amount": "daily_budget", "times": "$warn"}, "today"),
                      {"action": "notify", "severity": "warning", "text": "Today's spend is above the daily budget."}),
            ]},
        ),
        Template(
            "night_watch",
            "Night watch",
            "While nobody looks: pauses a campaign until the morning when its spend is far above its pace.",
            "Spend of the last full hours against the campaign's own last seven days.",
            "A launch at night or an announced sale trips it; only the morning starts it again.",
            "Not for campaigns that are scheduled to run at night only.",
            {
                "from": _FROM,
                "until": _UNTIL,
                "hours": _some("Hours looked at", "hours", "3", "1", "12"),
                "share": _some("Of seven days' spend in those hours", "times", "0.1", "0.03", "1"),
            },
            {"level": "campaign", "scope": {"learning": True}, "cases": [
                _case("a wild night", {"all": [
                    {"$hours": ["$from", "$until"]},
                    _metric("spend", ">", {"metric": "spend", "window": "last_7d", "times": "$share"}, "last_{hours}h"),
                ]}, {"action": "pause_until", "hour": "$until"}, {
                    "action": "notify", "severity": "critical", "text": "Paused for the night: it spent far too fast.",
                }),
            ]},
        ),
    )
}  # fmt: skip
#: (template, lower, higher): of these two parameters the first has to be below the second.
_ORDERED: Final = (
    ("month_envelope", "warn", "month"),
    ("overspend_guard", "warn", "stop"),
    ("surf", "base", "at_most"),
)


def default(parameter: Parameter, ground: Ground) -> Decimal | None:
    """What is taken where nothing is given; `None` when a person has to say."""
    found: Decimal | None = getattr(ground, parameter.of) if parameter.of else parameter.default
    return found


def instantiate(template: Template, *, given: Mapping[str, Any], ground: Ground) -> Document:
    """The template's document with these parameters. Raises `BadTree` naming every parameter that is missing,
    unknown or out of its bounds."""
    errors = [(str(key)[:60], "is not known here") for key in given if key not in template.parameters]
    values: dict[str, Decimal | None] = {}
    for key, parameter in template.parameters.items():
        if given.get(key) is None:
            values[key] = default(parameter, ground)
            if values[key] is None:
                errors.append((key, _asked(parameter)))
            continue
        value = _read(given[key], parameter)
        if isinstance(value, str):
            errors.append((key, value))
        else:
            values[key] = value
    for of, lower, higher in _ORDERED if not errors else ():
        low, high = values.get(lower), values.get(higher)
        if of == template.key and low is not None and high is not None and low >= high:
            errors.append((lower, f"must be below {higher}"))
    if {"from", "until"} <= set(template.parameters) and not errors and values["from"] == values["until"]:
        errors.append(("until", "must be another hour than from"))
    if errors:
        raise BadTree(errors)
    follows = CPA in template.parameters and given.get(CPA) is None
    return parse_document(_fill(template.shape, values, follows))


def _asked(parameter: Parameter) -> str:
    if parameter.of == "target_cpa":
        return "is needed: the client has no target CPA"
    return "is needed: nothing in the account says it"


def _read(raw: Any, parameter: Parameter) -> Decimal | str:
    """The value, or what is wrong with it."""
    whole = parameter.unit in WHOLE_UNITS
    pattern = r"[0-9]{1,10}" if whole else rf"[0-9]{{1,10}}(\.[0-9]{{1,{MAX_DECIMALS}}})?"
    words = "a whole number" if whole else "a number written as text"
    bounds = f"must be {words} from {parameter.least:f} to {parameter.most:f}"
    if isinstance(raw, bool) or not isinstance(raw, str | int) or re.fullmatch(pattern, str(raw)) is None:
        return bounds
    value = Decimal(raw)
    return value if parameter.least <= value <= parameter.most else bounds


def _fill(piece: Any, values: Mapping[str, Decimal | None], follows: bool, key: str = "") -> Any:
    """A piece of a shape without its gaps. `follows`: the client's target is meant, not an amount."""
    match piece:
        case {"$cpa": times}:
            return _target(_decimal(times, values), values, follows)
        case {"$hours": [first, last]}:
            return _hours(_decimal(first, values), _decimal(last, values))
        case Mapping():
            return {name: _fill(inner, values, follows, str(name)) for name, inner in piece.items()}
        case list():
            return [_fill(inner, values, follows) for inner in piece]
        case str() if piece.startswith("$"):
            value = _decimal(piece, values)
            return int(value) if key in _INTEGERS else f"{value:f}"
        case str():
            return _BRACES.sub(lambda found: f"{values[found[1]]:f}", piece)
    return piece


#: Keys of the language that hold an integer.
_INTEGERS: Final = frozenset({"count", "hour", "hours", "days"})
_BRACES: Final = re.compile(r"\{([a-z]+)\}")


def _decimal(piece: str, values: Mapping[str, Decimal | None]) -> Decimal:
    value = values[piece.removeprefix("$")]
    assert value is not None
    return value


def _target(times: Decimal, values: Mapping[str, Decimal | None], follows: bool) -> dict[str, str]:
    if follows:
        return {"target": CPA, "times": f"{times:f}"}
    amount = values[CPA]
    assert amount is not None
    return {"number": f"{(amount * times).quantize(Decimal('0.0001')).normalize():f}"}


def _hours(first: Decimal, last: Decimal) -> dict[str, Any]:
    edges = [
        {"fact": "hour", "op": ">=", "number": f"{first:f}"},
        {"fact": "hour", "op": "<", "number": f"{last:f}"},
    ]
    return {"all" if first < last else "any": edges}


def usual(template: Template, *, ground: Ground) -> Iterator[tuple[str, Parameter, Decimal | None]]:
    """Each parameter with the default that it has in this account."""
    for key, parameter in template.parameters.items():
        yield key, parameter, default(parameter, ground)
