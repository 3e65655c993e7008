"""Sentences: why a strategy wants something, what an action is expected to do.

"Paused because CTR 0.41 % was below 0.80 % over 12-18 Nov (12,310 impressions, USD 48.20)" is the done form;
a proposal says "Pause: CTR 0.41 % is below 0.80 % over ...". Text only, no HTML; figures are the trace's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from insights.metrics import METRICS
from strategies.engine import spans
from strategies.engine.facts import FACTS
from strategies.engine.figures import money
from strategies.engine.rules import ENDS, OPERATORS, SELF
from strategies.engine.types import ADVICE, NOTICES, Action, CaseTrace, Intent, Snapshot, Subject, Trace

#: Decimals added at most to tell a figure from its threshold.
_FINEST = 8
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
VERBS: Mapping[Action, tuple[str, str]] = {
    Action.PAUSE: ("Pause", "Paused"),
    Action.PAUSE_UNTIL: ("Pause", "Paused"),
    Action.START: ("Start", "Started"),
    Action.SET_BUDGET: ("Set the {budget} budget", "Set the {budget} budget"),
    Action.RAISE_BUDGET: ("Raise the {budget} budget", "Raised the {budget} budget"),
    Action.LOWER_BUDGET: ("Lower the {budget} budget", "Lowered the {budget} budget"),
    Action.REBALANCE: ("Move the {budget} budget", "Moved the {budget} budget"),
    Action.SET_BID: ("Set the bid", "Set the bid"),
    Action.RAISE_BID: ("Raise the bid", "Raised the bid"),
    Action.LOWER_BID: ("Lower the bid", "Lowered the bid"),
    Action.SET_END: ("Set the end", "Set the end"),
    Action.RENAME: ("Rename", "Renamed"),
    Action.NOTIFY: ("Tell people", "Told people"),
    Action.ADJUST_BIDDING: ("Look at the bid", "Advised to look at the bid"),
    Action.EXPAND_AUDIENCE: ("Widen the audience", "Advised to widen the audience"),
    Action.BID_STRATEGY: ("Change the bid strategy", "Advised to change the bid strategy"),
    Action.DUPLICATE_PAUSED: ("Make a paused copy", "Advised to make a paused copy"),
}


def span(since: date, until: date) -> str:
    """ "12–18 Nov", "28 Nov – 4 Dec", with the years where they differ."""
    if since.year != until.year:
        return f"{since.day} {since:%b %Y} – {until.day} {until:%b %Y}"
    if since.month != until.month:
        return f"{since.day} {since:%b} – {until.day} {until:%b}"
    return f"{since.day}–{until.day} {until:%b}" if since != until else f"{since.day} {since:%b}"


def figure(metric: str, value: Decimal | None, snapshot: Snapshot, *, finer: int = 0) -> str:
    """A metric's value as people read it, with `finer` more decimals than usual."""
    if value is None:
        return "not known"
    known = METRICS.get(metric)
    unit, decimals = (known.unit, known.decimals) if known else ("ratio", 2)
    if unit == "money":
        return money(value, snapshot.currency, snapshot.minor_unit, finer=finer)
    shown = value.quantize(Decimal(1).scaleb(-decimals - finer), ROUND_HALF_EVEN)
    return f"{shown:,f} %" if unit == "percent" else f"{shown:,f}"


def name(metric: str) -> str:
    """The metric's label inside a sentence: "CTR", "cost per link click"."""
    label = METRICS[metric].label if metric in METRICS else metric
    first = label.split()[0]
    return label if first.isupper() else label[0].lower() + label[1:]


def because(trace: Trace, snapshot: Snapshot, *, past: bool = False) -> str:
    """The leaves that made the tree true, as one clause."""
    deciding = _deciding(trace, negated=False)
    apart = len({leaf.window for leaf, _ in deciding if leaf.window}) > 1
    clauses = [
        _clause(leaf, negated, snapshot, past=past)
        + (f" over {_when(leaf.window, snapshot)}" if apart and leaf.window else "")
        for leaf, negated in deciding
    ]
    return " and ".join(dict.fromkeys(clauses))


def _deciding(trace: Trace, *, negated: bool) -> list[tuple[Trace, bool]]:
    """The leaves that decided: all true ones of a conjunction, the true ones of a disjunction."""
    if not trace.children:
        return [(trace, negated)]
    if trace.kind == "not":
        return _deciding(trace.children[0], negated=not negated)
    wanted = not negated
    chosen = [child for child in trace.children if child.result is wanted]
    return [leaf for child in chosen for leaf in _deciding(child, negated=negated)]


def _clause(leaf: Trace, negated: bool, snapshot: Snapshot, *, past: bool) -> str:
    is_ = "was" if past else "is"
    if leaf.kind == "rank":
        return _standing(leaf, negated, snapshot, is_)
    if leaf.kind == "fact":
        return _fact(leaf, negated, snapshot, is_)
    op = _NEGATED[leaf.op] if negated else leaf.op
    left, right = (value if isinstance(value, Decimal) else None for value in (leaf.left, leaf.right))
    shown, limit = (figure(leaf.label, value, snapshot) for value in (left, right))
    for finer in range(1, _FINEST):
        if shown != limit or left == right:
            break
        # Rounding would say "0.80 % is below 0.80 %".
        shown, limit = (figure(leaf.label, value, snapshot, finer=finer) for value in (left, right))
    whose = "" if leaf.of in ("", SELF) else f"the {leaf.of}'s "
    other = f" ({leaf.other})" if leaf.other else ""
    return f"{whose}{name(leaf.label)} {shown} {is_} {OPERATORS[op]} {limit}{other}"


def _fact(leaf: Trace, negated: bool, snapshot: Snapshot, is_: str) -> str:
    if isinstance(leaf.right, Decimal):
        op = _NEGATED[leaf.op] if negated else leaf.op
        left = leaf.left if isinstance(leaf.left, Decimal) else None
        unit = next((fact.unit for fact in FACTS.values() if fact.label == leaf.label), "percent")
        shown, limit = (_amount(value, unit, snapshot) for value in (left, leaf.right))
        return f"{leaf.label} {shown} {is_} {OPERATORS[op]} {limit}"
    op = {"contains": "containing ", "starts_with": "starting with "}.get(leaf.op, "")
    return f"{leaf.label} {is_} {'not ' if negated else ''}{op}{leaf.right}"


def _amount(value: Decimal | None, unit: str, snapshot: Snapshot) -> str:
    if value is None:
        return "not known"
    if unit == "money":
        return money(value, snapshot.currency, snapshot.minor_unit)
    if unit == "percent":
        return f"{value.quantize(Decimal('0.1'), ROUND_HALF_EVEN):,f} %"
    return f"{value:,f}:00" if unit == "hour" else f"{value:,f}"


def _standing(leaf: Trace, negated: bool, snapshot: Snapshot, is_: str) -> str:
    left = leaf.left if isinstance(leaf.left, Decimal) else None
    not_ = "not " if negated else ""
    field = {"parent": "its siblings", "campaign": "its campaign", "account": "the account"}[leaf.of]
    size = f"{leaf.right:f} " if leaf.right != 1 else ""
    shown = figure(leaf.label, left, snapshot)
    return f"{name(leaf.label)} {shown} {is_} {not_}among the {size}{ENDS[leaf.op]} of {field}"


def _when(window: str, snapshot: Snapshot) -> str:
    """The days of a window, or its words where it has none."""
    look = snapshot.look(window)
    return span(look.since, look.until) if look.since and look.until else spans.words(window)


def _windows(trace: Trace, snapshot: Snapshot) -> list[str]:
    """The windows of the conditions that decided, in reading order; else the first that was looked at."""
    found = [leaf.window for leaf, _ in _deciding(trace, negated=False) if leaf.window]
    return list(dict.fromkeys(found)) or [leaf.window for leaf in trace.leaves() if leaf.window][:1]


def basis(subject: Subject, snapshot: Snapshot, window: str) -> str:
    """What the judgement rests on: "12,310 impressions, USD 48.20"."""
    values = subject.values.get(window, {})
    impressions = figure("impressions", values.get("impressions"), snapshot)
    return f"{impressions} impressions, {figure('spend', values.get('spend'), snapshot)}"


def based_on(case: CaseTrace, subject: Subject, snapshot: Snapshot) -> str:
    """The basis of a case: of the first window that decided; empty for one that rests on no figure."""
    found = _windows(case.trace, snapshot)
    return basis(subject, snapshot, found[0]) if found else ""


def verb(intent: Intent, snapshot: Snapshot, *, past: bool = False) -> str:
    """What is wanted, without the reason: "Raise the daily budget from USD 50.00 to USD 60.00"."""
    said = VERBS[intent.action][past].format(budget=intent.field.partition("_")[0])
    if intent.until is not None:
        return f"{said} until {intent.until.astimezone(ZoneInfo(snapshot.zone)):%d %b %H:%M}"
    if intent.action in ADVICE | NOTICES:
        return f"{said}: {intent.text}" if intent.text and intent.action in ADVICE else said
    if intent.target and (intent.field.endswith("_budget") or intent.field == "bid_amount"):
        before, target = (
            money(Decimal(text), snapshot.currency, snapshot.minor_unit)
            for text in (intent.before or "0", intent.target)
        )
        return f"{said} from {before} to {target}"
    if intent.target and intent.field in ("name", "end_time"):
        return f"{said} to {intent.target}"
    return said


def sentence(
    intent: Intent, case: CaseTrace, subject: Subject, snapshot: Snapshot, *, past: bool = False
) -> str:
    """One sentence: what, and why, over which days, on how much data."""
    said = verb(intent, snapshot, past=past)
    why = because(case.trace, snapshot, past=past)
    joint = " because " if past else ": "
    found = _windows(case.trace, snapshot)
    if not found:
        return f"{said}{joint}{why}."
    over = f" over {_when(found[0], snapshot)}" if len(found) == 1 else ""
    return f"{said}{joint}{why}{over} ({basis(subject, snapshot, found[0])}).{_known(case.trace)}"


def _known(trace: Trace) -> str:
    """What is known about the true rate behind the first condition that decided and was weighed; the record has all."""
    found = (leaf.guard.words for leaf, _ in _deciding(trace, negated=False) if leaf.guard)
    return next((f" {words}." for words in found), "")


def effect(intent: Intent, subject: Subject, snapshot: Snapshot) -> str:
    """What to expect of it, without inventing a forecast."""
    if intent.target == "PAUSED":
        per_day = _per_day(subject, snapshot)
        return f"It stops spending; it spent {per_day} a day on average." if per_day else "It stops spending."
    if intent.target == "ACTIVE":
        return "It delivers again, with the budget and schedule that it has."
    if intent.field.endswith("_budget") and intent.before and intent.target:
        more = Decimal(intent.target) - Decimal(intent.before)
        shown = money(abs(more), snapshot.currency, snapshot.minor_unit)
        per = " a day" if intent.field == "daily_budget" else " in all"
        return f"Up to {shown} {'more' if more > 0 else 'less'}{per}; no other setting changes."
    if intent.target:
        return "No other setting changes."
    return "Nothing is changed at Meta; this is advice for a person."


def _per_day(subject: Subject, snapshot: Snapshot) -> str:
    """The average spend a day over the longest window of full days that was looked at."""
    found: tuple[int, Decimal] | None = None
    for window, values in subject.values.items():
        known, spend = spans.parse(window), values.get("spend")
        if known is not None and known.kind is spans.Kind.DAYS and spend is not None:
            found = max(found or (0, Decimal(0)), (known.count, spend))
    return money(found[1] / found[0], snapshot.currency, snapshot.minor_unit) if found else ""
