"""Strategy drafts from an account's own last seven full days: deterministic, no model, no network.

Thresholds are quantiles over the objects that own a budget and had enough data, so a draft separates *this*
account's weak third from the rest instead of quoting somebody's benchmark. It proposes; a person saves.

    minCtr           half of the median CTR          (clearly below its peers, not merely below the middle)
    maxCpc           twice the median CPC
    targetCpm        the median CPM
    budgetThreshold  twice the median daily budget
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from strategies.engine.evidence import MIN_IMPRESSIONS
from strategies.engine.figures import money
from strategies.engine.judge import excluded
from strategies.engine.rules import Document
from strategies.engine.templates import TYPES, Actions, Thresholds
from strategies.engine.types import LAST_7_DAYS, Snapshot, Subject, Trust
from strategies.engine.wording import span

MIN_OBJECTS = 2
_ANY = Document(())  # every running object that owns its budget


@dataclass(frozen=True)
class DraftIdea:
    """A strategy worth a look. `evidence` says what each threshold rests on."""

    name: str
    type: str
    thresholds: Thresholds
    actions: Actions
    evidence: tuple[str, ...]


def generate(snapshot: Snapshot, *, now: datetime) -> tuple[DraftIdea, ...]:
    """Drafts for this account, in a fixed order; none when the figures cannot carry one."""
    if snapshot.trust in (Trust.UNAVAILABLE, Trust.EMPTY):
        return ()
    judged = [
        subject
        for subject in snapshot.subjects
        if excluded(_ANY, subject, snapshot, now=now) is None and _enough(subject)
    ]
    if len(judged) < MIN_OBJECTS:
        return ()
    ctr, cpc, cpm = (_median(judged, metric) for metric in ("ctr", "cpc", "cpm"))
    budgets = [subject.daily_budget for subject in judged if subject.daily_budget]
    unit = snapshot.minor_unit or Decimal("0.01")
    min_ctr = _round(ctr / 2, Decimal("0.01"), up=False) if ctr else None
    max_cpc = _round(cpc * 2, unit, up=True) if cpc else None
    target_cpm = _round(cpm, unit, up=True) if cpm else None
    ceiling = _round(median(budgets) * 2, unit, up=False) if budgets and snapshot.minor_unit else None
    days = span(snapshot.since, snapshot.until)
    basis = f"Over {days}, {len(judged)} objects with at least {MIN_IMPRESSIONS:,f} impressions each."
    lines = {
        "ctr": f"Median CTR {ctr:.2f} %; half of it, rounded down: {min_ctr} %." if ctr and min_ctr else "",
        "cpc": _line("CPC", cpc, "twice that", max_cpc, snapshot),
        "cpm": _line("CPM", cpm, "taken as the target", target_cpm, snapshot),
        "budget": _line(
            "daily budget", median(budgets) if budgets else None, "twice that at most", ceiling, snapshot
        ),
    }
    ideas = []
    if min_ctr or max_cpc:
        ideas.append(
            _idea(
                "performance_optimization",
                Thresholds(minCtr=min_ctr, maxCpc=max_cpc, targetCpm=target_cpm),
                (basis, lines["ctr"], lines["cpc"], lines["cpm"]),
            )
        )
        if ceiling:
            ideas.append(
                _idea(
                    "budget_optimization",
                    Thresholds(minCtr=min_ctr, maxCpc=max_cpc, targetCpm=target_cpm, budgetThreshold=ceiling),
                    (basis, *lines.values()),
                )
            )
    if ctr and cpc:
        # A wider audience is worth a look where people answer at least as well as the account's middle.
        wide = Thresholds(
            minCtr=_round(ctr, Decimal("0.01"), up=True), maxCpc=_round(cpc, unit, up=False) or None
        )
        if wide.minCtr and wide.maxCpc:
            ideas.append(
                _idea(
                    "audience_expansion",
                    wide,
                    (basis, f"Median CTR {ctr:.2f} %.", _line("CPC", cpc, "", None, snapshot)),
                )
            )
    return tuple(ideas)


def _idea(type_: str, thresholds: Thresholds, evidence: Sequence[str]) -> DraftIdea:
    title, _, defaults = TYPES[type_]
    actions = Actions(**dict.fromkeys(defaults, True))
    return DraftIdea(
        f"{title} (from your figures)", type_, thresholds, actions, tuple(filter(None, evidence))
    )


def _enough(subject: Subject) -> bool:
    impressions = subject.values.get(LAST_7_DAYS, {}).get("impressions")
    return impressions is not None and impressions >= MIN_IMPRESSIONS


def _median(subjects: Sequence[Subject], metric: str) -> Decimal | None:
    values = [subject.values[LAST_7_DAYS].get(metric) for subject in subjects]
    known = [value for value in values if value is not None and value > 0]
    return median(known) if known else None


def median(values: Sequence[Decimal]) -> Decimal:
    """The middle value; of an even number the mean of the middle two. `values` is not empty."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _round(value: Decimal, unit: Decimal, *, up: bool) -> Decimal | None:
    rounded = (value / unit).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * unit
    return rounded.quantize(unit) if rounded > 0 else None


def _line(what: str, middle: Decimal | None, relation: str, limit: Decimal | None, snapshot: Snapshot) -> str:
    if middle is None:
        return ""
    shown = money(middle, snapshot.currency, snapshot.minor_unit)
    if limit is None:
        return f"Median {what} {shown}."
    return f"Median {what} {shown}; {relation}: {money(limit, snapshot.currency, snapshot.minor_unit)}."
