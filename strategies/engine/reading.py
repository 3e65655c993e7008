"""A document read back in plain words, so that a person sees what was understood.

Pause an ad set when CTR is below 0.80 % and spend is at least 2 x the target CPA, judged on the last 7 full days.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from insights.metrics import METRICS, RANKS
from strategies.engine import spans
from strategies.engine.facts import FACTS
from strategies.engine.rules import (
    BUDGET_OWNER,
    ENDS,
    OPERATORS,
    SELF,
    All,
    Any_,
    Case,
    Compare,
    Document,
    FactIn,
    FactIs,
    FactNumber,
    Leaf,
    MetricOperand,
    Node,
    Not,
    Number,
    OwnAmount,
    Rank,
    Share,
    Target,
    windows_of,
)
from strategies.engine.types import LAST_7_DAYS, Action, Do
from strategies.engine.wording import name

_NOUNS: Mapping[str, str] = {
    BUDGET_OWNER: "campaign or ad set that owns its budget",
    "campaign": "campaign",
    "adset": "ad set",
    "ad": "ad",
}
_FIELD: Mapping[str, str] = {"parent": "its siblings", "campaign": "its campaign", "account": "the account"}


def read_rules(document: Document, *, currency: str) -> tuple[str, ...]:
    """Whom it is about, every case as a sentence, then what is switched on but can do nothing."""
    return (
        *_scope(document, currency),
        *(_case(case, document, currency) for case in document.cases),
        *document.notes,
    )


def _scope(document: Document, currency: str) -> tuple[str, ...]:
    scope, noun = document.scope, _NOUNS[document.level]
    found = []
    if scope.only:
        found.append(f"Only about {_ids(scope.only, noun)}.")
    if scope.excluding:
        found.append(f"Never about {_ids(scope.excluding, noun)}.")
    if scope.where is not None:
        shown = read_back(scope.where, currency=currency, said="")
        found.append(f"Only about {_an(noun)} of which this holds: {shown}.")
    if scope.learning:
        found.append("Also about what is in Meta's learning phase.")
    return tuple(found)


def _ids(ids: tuple[str, ...], noun: str) -> str:
    shown = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    return f"the {noun} {shown}" if len(ids) == 1 else f"{len(ids)} objects: {shown}"


def _an(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _case(case: Case, document: Document, currency: str) -> str:
    windows = windows_of(case)
    one = len(windows) == 1
    object_ = "" if document.level == BUDGET_OWNER else f" {_an(_NOUNS[document.level])}"
    said = _sentence_case(
        " and ".join(_do(do, currency, object_ if i == 0 else "") for i, do in enumerate(case.do))
    )
    said_once = next(iter(windows)) if one else ""
    judged = f", judged on {spans.words(said_once)}" if one else ""
    return f"{said} when {read_back(case.when, currency=currency, said=said_once)}{judged}."


def _sentence_case(text: str) -> str:
    return text[0].upper() + text[1:]


def _do(do: Do, currency: str, object_: str) -> str:
    """The action in words, its first letter small; `object_` is whom it is done to (" an ad set")."""
    of = f" of{object_}" if object_ else ""
    match do.action:
        case Action.PAUSE:
            return f"pause{object_}"
        case Action.PAUSE_UNTIL:
            return f"pause{object_} {_length(do)}"
        case Action.START:
            return f"start{object_}{' that this strategy paused' if do.only_ours else ''}"
        case Action.SET_BUDGET | Action.SET_BID:
            return f"set the {_what(do)}{of} to {_money(do.amount, currency)}"
        case Action.RAISE_BUDGET | Action.RAISE_BID:
            return (
                f"raise the {_what(do)}{of} by {_step(do, currency)}, to at most {_money(do.limit, currency)}"
            )
        case Action.LOWER_BUDGET | Action.LOWER_BID:
            return f"lower the {_what(do)}{of} by {_step(do, currency)}, to at least {_money(do.limit, currency)}"
        case Action.REBALANCE:
            return (
                f"move daily budget{of} between siblings towards the better {name(do.metric)} over"
                f" {spans.words(do.window)}, each by at most {_percent(do)} and none below {_money(do.limit, currency)}"
            )
        case Action.SET_END:
            days = (
                "today"
                if do.days == 0
                else f"the day {do.days} days from today"
                if do.days != 1
                else "tomorrow"
            )
            return f"let{object_ or ' it'} end after {days}"
        case Action.RENAME:
            how = {"prefix": "put {0} before", "suffix": "put {0} after"}.get(do.mode, "write {0} for {1} in")
            return how.format(repr(do.text), repr(do.other)) + f" the name{of}"
        case Action.NOTIFY:
            return f"tell people ({do.severity}){of.replace(' of', ' about')}" + (
                f": {do.text!r}" if do.text else ""
            )
        case Action.BID_STRATEGY:
            return f"advise the bid strategy {do.text}" + (f" for{object_}" if object_ else "")
        case Action.ADJUST_BIDDING:
            return f"look at the bid{of}"
        case Action.EXPAND_AUDIENCE:
            return f"widen the audience{of}"
        case Action.DUPLICATE_PAUSED:
            return f"advise a paused copy{of}"


def _what(do: Do) -> str:
    return "bid" if do.field == "bid_amount" else f"{do.budget} budget"


def _money(amount: Decimal | None, currency: str) -> str:
    return f"{currency} {amount:,f}".strip()


def _percent(do: Do) -> str:
    return f"{do.percent:f} %"


def _step(do: Do, currency: str) -> str:
    return _money(do.amount, currency) if do.percent is None else _percent(do)


def _length(do: Do) -> str:
    if do.hour is not None:
        return f"until {do.hour:02}:00 of the account's clock"
    count, unit = (do.hours, "hour") if do.hours is not None else (do.days, "day")
    return f"for {count} {unit}{'' if count == 1 else 's'}"


def read_back(node: Node, *, currency: str = "", said: str = LAST_7_DAYS) -> str:
    """A tree in plain words: "CTR is below 0.80 % or CPC is above USD 1.20". A figure says its window, unless it is
    the one that is `said` for all of them."""
    match node:
        case All(children):
            return " and ".join(_nested(child, currency, said) for child in children)
        case Any_(children):
            return " or ".join(_nested(child, currency, said) for child in children)
        case Not(child):
            return f"not ({read_back(child, currency=currency, said=said)})"
        case _:
            return _leaf(node, currency, said)


def _nested(node: Node, currency: str, said: str) -> str:
    text = read_back(node, currency=currency, said=said)
    return f"({text})" if isinstance(node, All | Any_) and len(node.children) > 1 else text


def _leaf(node: Leaf, currency: str, said: str) -> str:
    match node:
        case FactIs(fact, op, text):
            verb = {"is": "is", "contains": "contains", "starts_with": "starts with"}[op]
            return f"{FACTS[fact].label} {verb} {text}"
        case FactIn(fact, texts):
            return f"{FACTS[fact].label} is {' or '.join(texts)}"
        case FactNumber(fact, op, number):
            return f"{FACTS[fact].label} is {OPERATORS[op]} {_fact_number(fact, number, currency)}"
        case Share(of, op, number, window):
            share = f"its share of the {of}'s spend"
            return f"{share} is {OPERATORS[op]} {number:f} %{_over(window, said)}"
        case Rank():
            return _rank(node, said)
        case Compare(metric, op, than, window, of):
            left = f"{_whose(of)}{name(metric)}"
            # Of two windows both are named, whatever the rest of the rule says.
            both = isinstance(than, MetricOperand) and than.window != window
            over = _over(window, "" if both else said)
            return (
                f"{left}{over if both else ''} is {OPERATORS[op]} {_than(than, metric, currency, both)}"
                + ("" if both else over)
            )


def _rank(node: Rank, said: str) -> str:
    size = f"{node.percent:f} % " if node.percent is not None else "" if node.count == 1 else f"{node.count} "
    zeros = ", those without delivery included" if node.zeros else ""
    end = ENDS[node.end]
    field = _FIELD[node.within]
    return f"its {name(node.metric)} is among the {size}{end} of {field}{_over(node.window, said)}{zeros}"


def _over(window: str, said: str) -> str:
    return "" if window == said else f" over {spans.words(window)}"


def _whose(of: str) -> str:
    return "" if of == SELF else f"the {of}'s "


def _than(than: Number | MetricOperand | Target | OwnAmount, metric: str, currency: str, both: bool) -> str:
    match than:
        case Number(value):
            return limit(metric, value, currency)
        case MetricOperand(other, window, times, of):
            return f"{_times(times)}{_whose(of)}{name(other)}{_over(window, '') if both else ''}"
        case Target(target, times):
            return f"{_times(times)}the client's target {target.upper()}"
        case OwnAmount(fact, times):
            return f"{_times(times)}its {FACTS[fact].label}"


def _times(times: Decimal) -> str:
    return "" if times == 1 else f"{times:f} x "


def _fact_number(fact: str, number: Decimal, currency: str) -> str:
    unit = FACTS[fact].unit
    return (
        _money(number, currency)
        if unit == "money"
        else f"{number:f}:00"
        if unit == "hour"
        else f"{number:,f}"
    )


def limit(metric: str, value: Decimal, currency: str) -> str:
    """A threshold as it was written, with its unit."""
    unit = METRICS[metric].unit if metric in METRICS else "ratio"
    if unit == "percent":
        return f"{value:f} %"
    if unit == "rank" and value == value.to_integral_value():
        return list(RANKS.values())[int(value) - 1]
    return _money(value, currency) if unit == "money" else f"{value:,f}"
