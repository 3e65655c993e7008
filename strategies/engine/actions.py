"""What a case may do: the shape of each action, with the bounds that it cannot go without, and what fits where.

| action | with | acts on |
|---|---|---|
| pause · start | which: paused_by_this_strategy (unless said) or any | status |
| pause_until | one of hours, days, hour (of the account's day) | status |
| set_budget · raise_budget · lower_budget | amount · percent or amount, at_most · at_least | daily or lifetime budget |
| rebalance | metric, step_percent, at_least | daily budgets of siblings, the same in total |
| set_bid · raise_bid · lower_bid | as for a budget | bid of an ad set |
| set_end | days from today | schedule |
| rename | prefix, suffix, or replace with with | name |
| notify | text, severity | nobody's field: an alert |
| adjust_bidding · expand_audience · bid_strategy · duplicate_paused | | advice for a person, never sent |

Nothing deletes. A raise needs the most and a cut the least that it may reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from campaigns.changes.guards import LIMITS
from campaigns.states import Source
from insights.metrics import METRICS
from strategies.engine.figures import FIGURES
from strategies.engine.grammar import Amount, Named, Reader, Record, Shape, Text, Whole, Word, join
from strategies.engine.spans import PATTERN, parse
from strategies.engine.types import LAST_7_DAYS, Action, Do

BUDGETS: Final = ("daily", "lifetime")
ONLY_OURS: Final = "paused_by_this_strategy"
SEVERITIES: Final = ("info", "warning", "critical")
#: What Meta calls its ways of bidding (docs/meta.md, objects).
BID_STRATEGIES: Final = (
    "LOWEST_COST_WITHOUT_CAP", "LOWEST_COST_WITH_BID_CAP", "COST_CAP", "LOWEST_COST_WITH_MIN_ROAS",
)  # fmt: skip
#: What a rule may raise in one step, and so the most that is worth saving.
MOST_PERCENT: Final = LIMITS[Source.STRATEGY].step_percent
REFUSED: Final[Mapping[str, str]] = {
    "delete": "nothing is ever deleted by a rule; pause it",
    "archive": "nothing is ever archived by a rule; pause it",
    "webhook": "calling an address is not offered yet; use notify",
    "label": "labels are not read from Meta yet; use rename with a prefix",
}
_CENT: Final = Decimal("0.000000001")
_MONEY: Final = Amount(_CENT)
_BUDGET: Final = Word(BUDGETS)


def _plain(action: Action, **constant: Any) -> Record:
    return Record({}, lambda reader, values, path: Do(action, **constant))


def _step(action: Action, bound: str, *, bid: bool = False, percent: Decimal = Decimal(100)) -> Record:
    def build(reader: Reader, values: dict[str, Any], path: str) -> Any:
        return Do(
            action, amount=values.get("amount"), percent=values.get("percent"), limit=values[bound],
            budget=values.get("budget", BUDGETS[0]),
        )  # fmt: skip

    return Record(
        {bound: _MONEY},
        build,
        may={"amount": _MONEY, "percent": Amount(_CENT, percent)} | ({} if bid else {"budget": _BUDGET}),
        one_of=(("percent",), ("amount",)),
    )


def _set(action: Action, *, bid: bool = False) -> Record:
    def build(reader: Reader, values: dict[str, Any], path: str) -> Any:
        return Do(action, amount=values["amount"], budget=values.get("budget", BUDGETS[0]))

    return Record({"amount": _MONEY}, build, may={} if bid else {"budget": _BUDGET})


def _until(reader: Reader, values: dict[str, Any], path: str) -> Any:
    return Do(Action.PAUSE_UNTIL, **values)


def _start(reader: Reader, values: dict[str, Any], path: str) -> Any:
    return Do(Action.START, only_ours=values.get("which", ONLY_OURS) == ONLY_OURS)


def _rename(reader: Reader, values: dict[str, Any], path: str) -> Any:
    if "replace" in values:
        return Do(Action.RENAME, text=values["with"], other=values["replace"], mode="replace")
    kind = "prefix" if "prefix" in values else "suffix"
    return Do(Action.RENAME, text=values[kind], mode=kind)


def _rebalance(reader: Reader, values: dict[str, Any], path: str) -> Any:
    figure = FIGURES[values["metric"]]
    window = values.get("window", LAST_7_DAYS)
    span = parse(window)
    assert span is not None
    trouble = figure.trouble(span, hours_known=False)
    if trouble:
        return reader.bad(join(path, "window"), trouble)
    return Do(
        Action.REBALANCE,
        metric=figure.name,
        window=window,
        percent=values["step_percent"],
        limit=values["at_least"],
    )


def _notify(reader: Reader, values: dict[str, Any], path: str) -> Any:
    return Do(Action.NOTIFY, text=values.get("text", ""), severity=values.get("severity", "warning"))


def _bid_strategy(reader: Reader, values: dict[str, Any], path: str) -> Any:
    return Do(Action.BID_STRATEGY, text=values["to"])


_PART: Final = Text(100)
_WINDOW: Final = Text(
    40, pattern=PATTERN, reading=lambda text: getattr(parse(text), "text", None), advice="no window"
)
#: Which of two objects does better can only be told by what has a good direction.
_COMPARABLE: Final = tuple(
    name for name, one in METRICS.items() if one.good and one.over is not None and one.unit != "rank"
)
_SHAPES: Final[Mapping[Action, Record]] = {
    Action.PAUSE: _plain(Action.PAUSE),
    Action.PAUSE_UNTIL: Record(
        {}, _until, may={"hours": Whole(1, 720), "days": Whole(1, 90), "hour": Whole(0, 23)},
        one_of=(("hours",), ("days",), ("hour",)),
    ),
    Action.START: Record({}, _start, may={"which": Word((ONLY_OURS, "any"))}),
    Action.SET_BUDGET: _set(Action.SET_BUDGET),
    Action.RAISE_BUDGET: _step(Action.RAISE_BUDGET, "at_most", percent=MOST_PERCENT),
    Action.LOWER_BUDGET: _step(Action.LOWER_BUDGET, "at_least"),
    Action.REBALANCE: Record(
        {"metric": Word(_COMPARABLE), "step_percent": Amount(_CENT, MOST_PERCENT), "at_least": _MONEY},
        _rebalance, may={"window": _WINDOW},
    ),
    Action.SET_BID: _set(Action.SET_BID, bid=True),
    Action.RAISE_BID: _step(Action.RAISE_BID, "at_most", bid=True, percent=MOST_PERCENT),
    Action.LOWER_BID: _step(Action.LOWER_BID, "at_least", bid=True),
    Action.SET_END: Record({"days": Whole(0, 365)}, lambda reader, values, path: Do(Action.SET_END, **values)),
    Action.RENAME: Record(
        {}, _rename, may={"prefix": _PART, "suffix": _PART, "replace": _PART, "with": _PART},
        one_of=(("prefix",), ("suffix",), ("replace", "with")),
    ),
    Action.NOTIFY: Record({}, _notify, may={"text": Text(300), "severity": Word(SEVERITIES)}),
    Action.ADJUST_BIDDING: _plain(Action.ADJUST_BIDDING),
    Action.EXPAND_AUDIENCE: _plain(Action.EXPAND_AUDIENCE),
    Action.BID_STRATEGY: Record({"to": Word(BID_STRATEGIES)}, _bid_strategy),
    Action.DUPLICATE_PAUSED: _plain(Action.DUPLICATE_PAUSED),
}  # fmt: skip
ACTIONS: Final[Shape] = Named(
    "action", {action.value: shape for action, shape in _SHAPES.items()}, refused=REFUSED
)


def misplaced(do: Do, level: str) -> str:
    """Why this action can do nothing at that level of a document, in words; empty when it can."""
    field = do.field
    if level == "ad" and (field.endswith("_budget") or field in ("bid_amount", "end_time")):
        return "an ad has no budget, bid or schedule of its own: take the level adset or campaign"
    if level == "campaign" and field == "bid_amount":
        return "bids are set on ad sets: take the level adset"
    return ""


def _text(value: Decimal | None) -> str:
    assert value is not None
    return f"{value:f}"


def _dump_step(bound: str, do: Do) -> dict[str, Any]:
    step = {"percent": _text(do.percent)} if do.percent is not None else {"amount": _text(do.amount)}
    return {**step, bound: _text(do.limit)}


def _dump_rename(do: Do) -> dict[str, Any]:
    return {"replace": do.other, "with": do.text} if do.mode == "replace" else {do.mode: do.text}


def _dump_until(do: Do) -> dict[str, Any]:
    pairs = {"hours": do.hours, "days": do.days, "hour": do.hour}
    return {key: value for key, value in pairs.items() if value is not None}


_DUMPS: Final[Mapping[Action, Callable[[Do], dict[str, Any]]]] = {
    Action.PAUSE_UNTIL: _dump_until,
    Action.START: lambda do: {"which": ONLY_OURS if do.only_ours else "any"},
    Action.SET_BUDGET: lambda do: {"amount": _text(do.amount), "budget": do.budget},
    Action.RAISE_BUDGET: lambda do: {**_dump_step("at_most", do), "budget": do.budget},
    Action.LOWER_BUDGET: lambda do: {**_dump_step("at_least", do), "budget": do.budget},
    Action.REBALANCE: lambda do: {
        "metric": do.metric, "window": do.window, "step_percent": _text(do.percent), "at_least": _text(do.limit)
    },
    Action.SET_BID: lambda do: {"amount": _text(do.amount)},
    Action.RAISE_BID: lambda do: _dump_step("at_most", do),
    Action.LOWER_BID: lambda do: _dump_step("at_least", do),
    Action.SET_END: lambda do: {"days": do.days},
    Action.RENAME: _dump_rename,
    Action.NOTIFY: lambda do: {**({"text": do.text} if do.text else {}), "severity": do.severity},
    Action.BID_STRATEGY: lambda do: {"to": do.text},
}  # fmt: skip


def dump_action(do: Do) -> dict[str, Any]:
    """The JSON form of an action."""
    more = _DUMPS.get(do.action)
    return {"action": do.action.value, **(more(do) if more else {})}
