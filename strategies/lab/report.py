"""Trials into a report: per policy over all worlds, with intervals by drawing worlds anew, and the goals.

Shares of the oracle's profit are of what the clicks were worth by expectation, after the warm-up: the sum over worlds,
each weighed by what a day may cost there, so that no large world outvotes the others. `SCHEMA` rises when a field
changes its meaning or goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from strategies.lab.score import Score
from strategies.lab.stage import Tally
from strategies.lab.trial import ORACLE, Trial

SCHEMA: Final = 1
ABOUT: Final = "A simulator proves software, not markets."
DRAWS: Final = 2_000
Floats = NDArray[np.float64]


def report(
    trials: Sequence[Trial], *, words: Mapping[str, str], setup: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """The report as JSON. `setup` says what was run; `words` says each policy in a few words."""
    by = {(one.world, one.policy): one for one in trials}
    worlds = sorted({one.world for one in trials})
    names = [name for name in dict.fromkeys(one.policy for one in trials) if name != ORACLE]
    chance = np.random.Generator(np.random.Philox(key=seed))
    picks = chance.integers(0, len(worlds), size=(DRAWS, len(worlds)))

    def each(name: str, what: Callable[[Trial], float]) -> Floats:
        return np.array([what(by[world, name]) for world in worlds])

    policies = [_policy(name, each, picks, words.get(name, "")) for name in [ORACLE, *names]]
    return {
        "schema": SCHEMA,
        "about": ABOUT,
        **setup,
        "worlds": worlds,
        "policies": policies,
        "goals": _goals(names, each),
        "trials": [_flat(one) for one in trials],
    }


def _policy(name: str, each: Any, picks: NDArray[np.int64], words: str) -> dict[str, Any]:
    def total(what: Callable[[Trial], float]) -> float:
        return float(each(name, what).sum())

    def ratio(top: Floats, under: Floats) -> dict[str, Any]:
        if under.sum() <= 0:
            return {"value": None, "low": None, "high": None}
        drawn_under = under[picks].sum(axis=1)
        drawn = top[picks].sum(axis=1)[drawn_under > 0] / drawn_under[drawn_under > 0]
        low, high = np.quantile(drawn, [0.025, 0.975])
        return {
            "value": round(float(top.sum() / under.sum()), 4),
            "low": round(float(low), 4),
            "high": round(float(high), 4),
        }

    def counted(top: Callable[[Trial], float], under: Callable[[Trial], float]) -> dict[str, Any]:
        return {
            **ratio(each(name, top), each(name, under)),
            "count": int(total(top)),
            "of": int(total(under)),
        }

    judged = name != ORACLE  # it stops nothing: it gives no money
    return {
        "name": name,
        "words": words or "the best budgets knowing the truth",
        "spend": round(total(lambda one: one.score.spend), 2),
        "conversions": round(total(lambda one: one.score.conversions)),
        "profit": round(total(lambda one: one.score.profit), 2),
        "expected_profit": round(total(lambda one: one.score.expected), 2),
        "share_of_oracle": ratio(each(name, _late), each(ORACLE, _late)),
        "share_of_oracle_from_day_0": ratio(each(name, _whole), each(ORACLE, _whole)),
        "wrong_stops": counted(lambda one: one.score.wrong_stops, lambda one: one.score.healthy)
        if judged
        else None,
        "late_stops": counted(lambda one: one.score.late_stops, lambda one: one.score.losers)
        if judged
        else None,
        "stops": int(total(lambda one: one.score.stops)),
        "budget_changes": int(total(lambda one: one.score.budget_changes)),
        "refused": int(total(lambda one: one.tally.refused)),
        "lost": int(total(lambda one: one.tally.lost)),
        "seconds": round(total(lambda one: one.seconds), 1),
    }


def _late(one: Trial) -> float:
    return one.score.expected_late / one.budget


def _whole(one: Trial) -> float:
    return one.score.expected / one.budget


def _goals(names: Sequence[str], each: Any) -> list[dict[str, Any]]:
    """The goals for `ours`, with what was reached; nothing where it did not run."""
    if "ours" not in names:
        return []
    ours, best = each("ours", _late), each(ORACLE, _late)
    share = float(ours.sum() / best.sum()) if best.sum() > 0 else None
    found = [_goal("share of the oracle's profit after the warm-up", share, 0.90, at_least=True)]
    rivals = [name for name in names if name != "ours"]
    if rivals:
        above = np.all([ours > each(name, _late) for name in rivals], axis=0)
        found.append(
            _goal("worlds in which it is above every other policy", float(above.mean()), 0.90, at_least=True)
        )
    healthy = each("ours", lambda one: one.score.healthy).sum()
    if healthy:
        wrong = each("ours", lambda one: one.score.wrong_stops).sum() / healthy
        found.append(_goal("healthy ad sets wrongly stopped", float(wrong), 0.05, at_least=False))
    losers = each("ours", lambda one: one.score.losers).sum()
    if losers:
        kept = 1 - each("ours", lambda one: one.score.late_stops).sum() / losers
        found.append(
            _goal("losers at 3 times the target stopped within 7 days", float(kept), 0.95, at_least=True)
        )
    if "keep" in names:
        keep, whole = each("keep", _whole), each("ours", _whole)
        near = float((whole >= keep - 0.02 * np.abs(keep)).mean())
        found.append(_goal("worlds in which it is at most 2 % worse than keep", near, 0.95, at_least=True))
    return found


def _goal(text: str, value: float | None, goal: float, *, at_least: bool) -> dict[str, Any]:
    met = value is not None and (value >= goal if at_least else value <= goal)
    return {
        "goal": text,
        "wanted": f"{'at least' if at_least else 'at most'} {goal:.0%}",
        "value": None if value is None else round(value, 4),
        "met": met,
    }


def _flat(one: Trial) -> dict[str, Any]:
    score = {
        key: round(value, 2) if isinstance(value, float) else value
        for key, value in asdict(one.score).items()
    }
    reasons = dict(one.tally.reasons.most_common(5))
    return {
        "world": one.world,
        "policy": one.policy,
        "budget": one.budget,
        **score,
        "filed": one.tally.filed,
        "refused": one.tally.refused,
        "applied": one.tally.applied,
        "lost": one.tally.lost,
        "refusals": reasons,
        "seconds": round(one.seconds, 2),
    }


def trials_of(found: Mapping[str, Any]) -> list[Trial]:
    """The trials of an earlier report. Raises `KeyError` or `TypeError` where it is none of this schema."""
    known = {one.name for one in fields(Score)}
    return [
        Trial(
            world=one["world"],
            policy=one["policy"],
            budget=one["budget"],
            score=Score(**{key: value for key, value in one.items() if key in known}),
            tally=Tally(one["filed"], one["refused"], one["applied"], one["lost"], Counter(one["refusals"])),
            seconds=one["seconds"],
        )
        for one in found["trials"]
    ]


def table(found: Mapping[str, Any]) -> str:
    """The report for a terminal."""
    heads = (
        "policy",
        "spend",
        "conv.",
        "profit",
        "of the oracle (95 %)",
        "wrong stops",
        "late stops",
        "budgets",
        "refused",
    )
    rows = [heads]
    for one in found["policies"]:
        rows.append(
            (
                one["name"],
                f"{one['spend']:,.0f}",
                f"{one['conversions']:,}",
                f"{one['profit']:,.0f}",
                _interval(one["share_of_oracle"]),
                _count(one["wrong_stops"]),
                _count(one["late_stops"]),
                f"{one['budget_changes']:,}",
                f"{one['refused']:,}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.append("")
    for goal in found["goals"]:
        met = "met    " if goal["met"] else "NOT MET"
        lines.append(f"{met}  {goal['goal']}: {_percent(goal['value'])} (wanted {goal['wanted']})")
    lines.append(
        f"{len(found['worlds'])} worlds, {found['days']} days, the first {found['warm_up']} of them warm-up."
    )
    return "\n".join([*lines, found["about"]])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _interval(share: Mapping[str, Any]) -> str:
    if share["value"] is None:
        return "-"
    return f"{share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%})"


def _count(share: Mapping[str, Any] | None) -> str:
    if share is None or not share["of"]:
        return "-"
    return f"{share['count']} of {share['of']}"
