"""Sentences: why a strategy wants something, what a rule means, what an action is expected to do.

"Paused because CTR 0.41 % was below 0.80 % over 12-18 Nov (12,310 impressions, USD 48.20)" is the done form;
a proposal says "Pause: CTR 0.41 % is below 0.80 % over ...". Text only, no HTML; figures are the trace's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from insights.metrics import METRICS
from strategies.engine.rules import OPERATORS, All, Any_, Compare, FactIs, Node, Not, Number, RuleSet
from strategies.engine.types import LAST_7_DAYS, WINDOWS, Action, CaseTrace, Intent, Snapshot, Subject, Trace

#: Decimals added at most to tell a figure from its threshold.
_FINEST = 8
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_VERB: Mapping[Action, tuple[str, str]] = {
    Action.PAUSE: ("Pause", "Paused"),
    Action.RAISE_BUDGET: ("Raise the daily budget", "Raised the daily budget"),
    Action.ADJUST_BIDDING: ("Look at the bid", "Advised to look at the bid"),
    Action.EXPAND_AUDIENCE: ("Widen the audience", "Advised to widen the audience"),
}


def span(since: date, until: date) -> str:
    """ "12–18 Nov", "28 Nov – 4 Dec", with the years where they differ."""
    if since.year != until.year:
        return f"{since.day} {since:%b %Y} – {until.day} {until:%b %Y}"
    if since.month != until.month:
        return f"{since.day} {since:%b} – {until.day} {until:%b}"
    return f"{since.day}–{until.day} {until:%b}" if since != until else f"{since.day} {since:%b}"


def money(amount: Decimal, currency: str, minor_unit: Decimal | None, *, finer: int = 0) -> str:
    """ "USD 1,048.20", "JPY 1,200": to the currency's smallest unit, or finer where that would show 0."""
    unit = (minor_unit or Decimal("0.01")).scaleb(-finer)
    shown = amount.quantize(unit, ROUND_HALF_EVEN)
    if shown == 0 and amount != 0:
        shown = amount.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)
    return f"{currency} {shown:,f}"


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
    clauses = [
        _clause(leaf, negated, snapshot, past=past) for leaf, negated in _deciding(trace, negated=False)
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
    if leaf.kind == "fact":
        op = {"is": "", "contains": "containing "}[leaf.op]
        return f"{leaf.label} {is_} {'not ' if negated else ''}{op}{leaf.right}"
    op = _NEGATED[leaf.op] if negated else leaf.op
    left, right = (value if isinstance(value, Decimal) else None for value in (leaf.left, leaf.right))
    shown, limit = (figure(leaf.label, value, snapshot) for value in (left, right))
    for finer in range(1, _FINEST):
        if shown != limit or left == right:
            break
        # Rounding would say "0.80 % is below 0.80 %".
        shown, limit = (figure(leaf.label, value, snapshot, finer=finer) for value in (left, right))
    return f"{name(leaf.label)} {shown} {is_} {OPERATORS[op]} {limit}"


def basis(subject: Subject, snapshot: Snapshot) -> str:
    """What the judgement rests on: "12,310 impressions, USD 48.20"."""
    values = subject.values.get(LAST_7_DAYS, {})
    impressions = figure("impressions", values.get("impressions"), snapshot)
    return f"{impressions} impressions, {figure('spend', values.get('spend'), snapshot)}"


def sentence(
    intent: Intent, case: CaseTrace, subject: Subject, snapshot: Snapshot, *, past: bool = False
) -> str:
    """One sentence: what, and why, over which days, on how much data."""
    verb = _VERB[intent.action][past]
    if intent.action is Action.RAISE_BUDGET and intent.before and intent.target:
        before, target = (
            money(Decimal(text), snapshot.currency, snapshot.minor_unit)
            for text in (intent.before, intent.target)
        )
        verb = f"{verb} from {before} to {target}"
    why = because(case.trace, snapshot, past=past)
    joint = " because " if past else ": "
    days = span(snapshot.since, snapshot.until)
    return f"{verb}{joint}{why} over {days} ({basis(subject, snapshot)})."


def effect(intent: Intent, subject: Subject, snapshot: Snapshot) -> str:
    """What to expect of it, without inventing a forecast."""
    spend = subject.values.get(LAST_7_DAYS, {}).get("spend")
    if intent.action is Action.PAUSE:
        if spend is None:
            return "It stops spending."
        per_day = money(spend / 7, snapshot.currency, snapshot.minor_unit)
        return f"It stops spending; it spent {per_day} a day on average."
    if intent.action is Action.RAISE_BUDGET and intent.before and intent.target:
        more = money(Decimal(intent.target) - Decimal(intent.before), snapshot.currency, snapshot.minor_unit)
        return f"Up to {more} more a day; no other setting changes."
    return "Nothing is changed at Meta; this is advice for a person."


def read_back(node: Node, *, currency: str = "", minor_unit: Decimal | None = None) -> str:
    """A tree in plain words: "CTR is below 0.80 % or CPC is above USD 1.20"."""
    match node:
        case All(children):
            return " and ".join(_nested(child, currency, minor_unit) for child in children)
        case Any_(children):
            return " or ".join(_nested(child, currency, minor_unit) for child in children)
        case Not(child):
            return f"not ({read_back(child, currency=currency, minor_unit=minor_unit)})"
        case FactIs(fact, op, text):
            return f"{fact.replace('_', ' ')} {op} {text}"
        case Compare(metric, op, than, window):
            over = "" if window == LAST_7_DAYS else f" over {WINDOWS[window]}"
            if isinstance(than, Number):
                return f"{name(metric)} is {OPERATORS[op]} {_limit(metric, than.value, currency)}{over}"
            factor = "" if than.times == 1 else f"{than.times:f} x "
            return f"{name(metric)} is {OPERATORS[op]} {factor}{name(than.metric)}{over}"


def _nested(node: Node, currency: str, minor_unit: Decimal | None) -> str:
    text = read_back(node, currency=currency, minor_unit=minor_unit)
    return f"({text})" if isinstance(node, All | Any_) and len(node.children) > 1 else text


def _limit(metric: str, value: Decimal, currency: str) -> str:
    unit = METRICS[metric].unit if metric in METRICS else "ratio"
    if unit == "percent":
        return f"{value:f} %"
    return f"{currency} {value:,f}".strip() if unit == "money" else f"{value:,f}"


def read_rules(rule_set: RuleSet, *, currency: str) -> tuple[str, ...]:
    """Every case as a sentence, then what is switched on but can do nothing."""
    lines = []
    for case in rule_set.cases:
        tail = ""
        if case.action is Action.RAISE_BUDGET:
            ceiling = "" if case.ceiling is None else f", to at most {currency} {case.ceiling:,f}"
            tail = f" by {case.percent:f} %{ceiling}"
        lines.append(
            f"{_VERB[case.action][0]}{tail} when {read_back(case.when, currency=currency)},"
            f" judged on {WINDOWS[LAST_7_DAYS]}."
        )
    return (*lines, *rule_set.notes)
