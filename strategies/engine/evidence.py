"""How much is known about a true rate: no rule acts on noise, and none fires on three clicks.

A condition on a rate ("CPA > 20") is a hypothesis about the true rate. What it rests on is one object's account days
since a start that *stands still* (the object's first day, or the last change that a person counts as a fresh start; a
window that moves along would start the test anew at every look):

    what was seen is compared with expected = target rate x base x share reported by now (completeness by age)
    -> `eprocess`: evidence for "it is so" and for "it is not", valid however often one looks
    -> act / contrary / wait / cannot know yet, with the spend that is still needed

`alpha` is the tolerated share of wrong stops: of objects whose true rate was at the target or better on every day, at
most that share is *ever* called worse, over all looks. The promise ends where its ground does: a completeness curve
that is off by x % moves the target by as much, and numbers that Meta takes back later were counted while they stood.

Floats throughout: these are statistics. An amount of money in them is an estimate to read, never one to write.

`shortfall` is the older, plain minimum of data per condition:
a rate is compared only when, at exactly its threshold, about `MIN_EVENTS` events were to be expected.

- CTR against t %: impressions >= max(1,000, 10 x 100 / t)
- CPC against t:   spend >= 10 x t (what ten clicks would have cost)
- CPM, frequency and other figures per impression: impressions >= 1,000
- CPA against t:   spend >= 10 x t;  ROAS: at least 10 conversions
- plain sums (spend, impressions, clicks, ...): no minimum, they are what they are

Below it the condition is *unknown*, not false.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from math import exp, inf, isfinite, log
from typing import Final

import numpy as np

from insights.metrics import METRICS
from strategies.engine.expectation import Expectation, History, still_needed, too_early
from strategies.engine.types import Values

NOT_KNOWN = "not known"
MIN_IMPRESSIONS = Decimal(1000)
MIN_EVENTS = Decimal(10)
_PER_CLICK = frozenset({"cpc", "cost_per_link_click"})
_CLICK_RATE = frozenset({"ctr", "link_ctr"})
_PER_RESULT = frozenset({"cpa"})
_PER_IMPRESSION = frozenset({"cpm", "frequency"})


def shortfall(*, metric: str, threshold: Decimal, values: Values) -> str:
    """What is missing, as "312 of 1,250 impressions"; empty when there is enough."""
    if metric in _CLICK_RATE:
        need = MIN_IMPRESSIONS
        if threshold > 0:
            need = max(need, (MIN_EVENTS * 100 / threshold).to_integral_value(ROUND_CEILING))
        return _short(values.get("impressions"), need, "impressions")
    if metric in _PER_IMPRESSION:
        return _short(values.get("impressions"), MIN_IMPRESSIONS, "impressions")
    if metric in _PER_CLICK or metric in _PER_RESULT:
        # Without a positive threshold no spend would be enough to expect anything: count impressions instead.
        if threshold <= 0:
            return _short(values.get("impressions"), MIN_IMPRESSIONS, "impressions")
        return _short(values.get("spend"), MIN_EVENTS * threshold, "spend")
    if metric == "roas":
        return _short(values.get("conversions"), MIN_EVENTS, "conversions")
    return ""


def _short(have: Decimal | None, need: Decimal, what: str) -> str:
    if have is None:
        return f"{what} {NOT_KNOWN}"
    if have >= need:
        return ""
    return f"{have:,f} of {need:,f} {what}"


# --- the guard -------------------------------------------------------------------------------------------------

#: The tolerated share of wrong stops, where nobody set another one.
ALPHA: Final = 0.05
#: Not events that chance deals out one by one: people counted once, and impressions, which money buys.
_NO_EVENTS: Final = frozenset({"impressions", "reach"})


class Answer(StrEnum):
    ACT = "act"  # it is as the condition says
    CONTRARY = "contrary"  # it is known to be the other way round
    WAIT = "wait"  # it might have been known by now, and is not
    CANNOT_KNOW = "cannot_know"  # whatever had been seen, it could not be known yet


@dataclass(frozen=True)
class Claim:
    """ "The true rate is below (or above) `target`": events, or money from them, per unit of the base.

    `seen` and `per` are bases of the metrics registry: CPA > 20 is conversions per spend below 1/20.
    """

    metric: str
    seen: str
    per: str
    target: float
    below: bool


@dataclass(frozen=True)
class Evidence:
    """What is known about a claim. `expected` at the target by now, on the careful side; `e` for the claim.

    `chance`: how often an object exactly at the target shows as little (or as much) at this one look; None for values
    and lumps. `more_spend` and `more_days`: what it takes at least until it may be known, at the pace of the last
    days - without another event for "below", going on as it did for "above"; None where that is not in sight.
    """

    answer: Answer
    claim: Claim
    spent: float
    expected: float
    seen: float
    e: float
    e_contrary: float
    chance: float | None
    more_spend: float | None
    more_days: float | None


def claim_of(*, metric: str, greater: bool, threshold: float) -> Claim | None:
    """The hypothesis behind "metric > threshold" (`greater`) or "metric < threshold"; None where none is."""
    known = METRICS.get(metric)
    if known is None or known.over is None or not (isfinite(threshold) and threshold > 0):
        return None
    cost = known.top == "spend"
    seen, per = (known.over, known.top) if cost else (known.top, known.over)
    if seen in _NO_EVENTS or per == "reach":
        return None
    times = float(known.times)
    return Claim(metric, seen, per, times / threshold if cost else threshold / times, greater == cost)


def judge(
    claim: Claim,
    history: History,
    *,
    shares: Sequence[float] | None,
    alpha: float = ALPHA,
    scale: float | None = 1.0,
    variation: float = 0.0,
) -> Evidence:
    """Whether the claim is known to be so.

    `shares[k]` of the final number is reported k days after a day's end; None while it is not learned. `scale`: the
    mean of x^2 over the mean of x of one event's size (1 for counts, more if they come in lumps; `event_scale` for
    money); None while it is not known, and then nothing is. `variation`: how much good and bad days differ beyond
    chance (`day_variation`); left out where they do, far more healthy objects are stopped than `alpha` says.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha lies between 0 and 1")
    at = Expectation(claim.target, history, shares)
    spent, seen = float(sum(history.spend)), float(sum(history.seen))
    expected = float(sum(at.low if claim.below else at.high))
    if scale is None:
        return Evidence(Answer.CANNOT_KNOW, claim, spent, expected, seen, 1.0, 1.0, None, None, None)
    single, scale = scale == 1, at.lumps(scale, variation)
    short = at.short(scale)
    better = at.better(scale) if at.enough(scale) else 0.0
    for_it, against = (short, better) if claim.below else (better, short)
    need = -log(alpha)
    if for_it >= need:
        answer = Answer.ACT
    elif against >= need:
        answer = Answer.CONTRARY
    elif too_early(at, claim.below, scale, need):
        answer = Answer.CANNOT_KNOW
    else:
        answer = Answer.WAIT
    spend, days = (
        still_needed(at, claim.below, scale, need)
        if answer in (Answer.WAIT, Answer.CANNOT_KNOW)
        else (None, None)
    )
    chance = _chance(seen, expected, few=claim.below, lumps=scale) if single else None
    return Evidence(answer, claim, spent, expected, seen, _e(for_it), _e(against), chance, spend, days)


def interval(
    history: History,
    *,
    shares: Sequence[float] | None,
    alpha: float = ALPHA,
    scale: float = 1.0,
    variation: float = 0.0,
) -> tuple[float, float]:
    """A confidence sequence: (low, high) of the rate per base, right at *all* looks together with 1 - alpha.

    It holds the rates that neither test has refused at alpha / 2; `high` is infinite while nothing was to be expected.
    """
    need = -log(alpha / 2)
    if not any(history.base):
        return 0.0, inf

    def at(rate: float) -> tuple[Expectation, float]:
        there = Expectation(rate, history, shares)
        return there, there.lumps(scale, variation)

    high = _crossing(lambda rate: Expectation.short(*at(rate)) < need)
    low = _crossing(lambda rate: Expectation.better(*at(rate)) >= need)
    return low, high


def event_scale(values: Sequence[float], counts: Sequence[float]) -> float | None:
    """The mean of x^2 over the mean of x of one order's value, from rows of (value, orders); None below 30 orders.

    Of a row with n orders only the sum v is known: E[v^2] = n E[x^2] + n (n - 1) E[x]^2, solved for E[x^2].
    """
    v, n = np.asarray(values, float), np.asarray(counts, float)
    if n.sum() < 30 or v.sum() <= 0:
        return None
    mean = v.sum() / n.sum()
    second = (v**2 - n * (n - 1) * mean**2).sum()
    return float(max(mean, second / v.sum()))


def day_variation(
    objects: Sequence[tuple[Sequence[float], Sequence[float]]], *, scale: float = 1.0
) -> float | None:
    """How much an account's days differ beyond chance: the variance of a day's own factor, whose mean is 1.

    `objects` are (base, seen) of days that are all reported. Of a day with m expected, Var = scale m + variation m^2;
    solved for it over all days. None below 14 days or 30 events.
    """
    beyond = squares = events = 0.0
    days = 0
    for base, seen in objects:
        b, v = np.asarray(base, float), np.asarray(seen, float)
        b, v = b[b > 0], v[b > 0]
        if len(b) < 2:
            continue
        m = b * v.sum() / b.sum()
        # The object's own rate was fitted to these days.
        beyond += float(((v - m) ** 2).sum()) * len(b) / (len(b) - 1) - scale * float(m.sum())
        squares, events, days = squares + float((m**2).sum()), events + float(v.sum()) / scale, days + len(b)
    if days < 14 or events < 30:
        return None
    return max(0.0, beyond / squares)


def _crossing(holds: Callable[[float], bool]) -> float:
    """The rate up to which `holds`, between 1e-12 and 1e12, to a ten-thousandth of it; 0 if it holds nowhere."""
    low, high = log(1e-12), log(1e12)
    if not holds(exp(low)):
        return 0.0
    if holds(exp(high)):
        return inf
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(exp(middle)) else (low, middle)
    return exp(low)


def _chance(seen: float, expected: float, *, few: bool, lumps: float) -> float:
    """P(N <= seen), or P(N >= seen): Poisson, or negative binomial where the variance is more than the mean."""
    if expected <= 0:
        return 1.0
    upto = int(seen) if few else int(seen) - 1
    # Far out in the tail the answer is 0 or 1 to all digits; a loop over millions of clicks would only be slow.
    if upto > expected + 40 * (1 + (lumps * expected) ** 0.5):
        return 1.0 if few else 0.0
    counts = np.arange(upto + 1)
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, upto + 1)))))
    if lumps == 1:
        logs = counts * log(expected) - expected - factorials[: upto + 1]
    else:
        size = expected / (lumps - 1)
        rising = np.concatenate(([0.0], np.cumsum(np.log(size + np.arange(upto)))))
        logs = rising[: upto + 1] - factorials[: upto + 1] - size * log(lumps) + counts * log(1 - 1 / lumps)
    below = min(1.0, float(np.exp(logs).sum()))
    return below if few else 1 - below


def _e(logged: float) -> float:
    return exp(min(logged, 700.0))


# --- in words --------------------------------------------------------------------------------------------------


def sentence(
    found: Evidence,
    *,
    target: str,
    events: str,
    objects: str,
    money: Callable[[float], str],
    money_seen: bool = False,
    since: str = "",
) -> str:
    """ "Spent USD 48 since 1 Nov; at the target CPA of USD 20 about 1.7 reported purchases were to be expected, ..."

    `target` as "CPA of USD 20", `events` as "purchases", `objects` as "ad sets"; `money` writes an amount, and
    `money_seen` says that what is seen is money as well. `since` is the first day that is weighed: not the days of the
    condition, which move.
    """
    few = found.claim.below
    expected = money(found.expected) if money_seen else _about(found.expected)
    seen = money(found.seen) if money_seen else f"{found.seen:,.0f}"
    what, was = (f"of reported {events}", "was") if money_seen else (f"reported {events}", "were")
    spent = f"Spent {money(found.spent)}" + (f" since {since}" if since else "")
    said = f"{spent}; at the target {target} about {expected} {what} {was} to be expected by now, {seen} {was} seen"
    if found.chance is not None and (found.seen < found.expected) == few:
        little = "little" if few else "much"
        said += f"; that {little} happens in {_percent(found.chance)} of {objects} that are just on target"
    return f"{said}: {_advice(found, money)}"


def _advice(found: Evidence, money: Callable[[float], str]) -> str:
    better = "worse" if found.claim.below else "better"
    if found.answer is Answer.ACT:
        return f"it is known to be {better} than the target"
    if found.answer is Answer.CONTRARY:
        return f"it is known not to be {better} than the target"
    early = "too early to know whatever is seen" if found.answer is Answer.CANNOT_KNOW else "wait"
    if found.more_spend is None:
        return f"{early}; when it will be known is not in sight"
    if found.more_spend <= 0:
        return f"{early}; what is still to be reported will tell"
    going = "without another" if found.claim.below else "going on like this"
    return f"{early}, {money(found.more_spend)} more {going} will tell"


def _about(number: float) -> str:
    return f"{number:,.1f}" if number < 100 else f"{number:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
