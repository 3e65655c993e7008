"""Documents of every kind, drawn by Hypothesis: from their classes, and from the published schema itself."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from strategies.engine.actions import BID_STRATEGIES
from strategies.engine.facts import AMOUNTS, FACTS
from strategies.engine.figures import FIGURES
from strategies.engine.rules import (
    All,
    Any_,
    Case,
    Compare,
    Document,
    FactIn,
    FactIs,
    FactNumber,
    MetricOperand,
    Not,
    Number,
    OwnAmount,
    Rank,
    Scope,
    Share,
    Target,
)
from strategies.engine.spans import Kind, Span
from strategies.engine.types import Action, Do

numbers = st.decimals(min_value=0, max_value=10**9, places=4, allow_nan=False, allow_infinity=False)
amounts = st.decimals(min_value="0.01", max_value=10**6, places=2, allow_nan=False, allow_infinity=False)
percents = st.decimals(min_value=1, max_value=20, places=1, allow_nan=False, allow_infinity=False)
times = st.decimals(min_value="0.1", max_value=100, places=2, allow_nan=False, allow_infinity=False)
operators = st.sampled_from(["<", "<=", ">", ">="])
spans = st.one_of(
    st.just(Span(Kind.TODAY)),
    st.just(Span(Kind.LIFETIME)),
    st.builds(Span, st.sampled_from([Kind.DAYS, Kind.DAYS_AND_TODAY]), st.integers(1, 90)),
    st.builds(Span, st.just(Kind.MATURE), st.integers(1, 90), st.integers(50, 99)),
)
windows = spans.map(lambda span: span.text)
whose = st.sampled_from(["self", "parent", "campaign", "account"])
#: Figures that are known over every window of days, at every level.
plain = {name: one for name, one in FIGURES.items() if not one.people and not one.ads_only}
by_kind: dict[str, list[str]] = {}
for _name, _one in plain.items():
    by_kind.setdefault(_one.kind, []).append(_name)


@st.composite
def compares(draw: Any) -> Compare:
    kind = draw(st.sampled_from(sorted(by_kind)))
    names = st.sampled_from(by_kind[kind])
    operands = [st.builds(Number, numbers), st.builds(MetricOperand, names, windows, times, whose)]
    if kind == "money":
        operands += [
            st.builds(OwnAmount, st.sampled_from(AMOUNTS), times),
            st.builds(Target, st.just("cpa"), times),
        ]
    if kind == "return":
        operands.append(st.builds(Target, st.just("roas"), times))
    return Compare(draw(names), draw(operators), draw(st.one_of(*operands)), draw(windows), draw(whose))


def fact_nodes() -> Any:
    kinds = []
    for name, fact in FACTS.items():
        if fact.is_number:
            most = st.decimals(
                min_value=0, max_value=fact.most, places=0, allow_nan=False, allow_infinity=False
            )
            kinds.append(st.builds(FactNumber, st.just(name), operators, most))
        else:
            texts = (
                st.sampled_from(fact.words) if fact.words else st.text(min_size=1, max_size=20).filter(_fine)
            )
            single = st.just("is") if fact.words else st.sampled_from(["is", "contains", "starts_with"])
            kinds.append(st.builds(FactIs, st.just(name), single, texts))
            kinds.append(st.builds(FactIn, st.just(name), st.lists(texts, min_size=1, max_size=3).map(tuple)))
    return st.one_of(*kinds)


def _fine(text: str) -> bool:
    return "\x00" not in text


shares = st.builds(Share, st.sampled_from(["parent", "campaign", "account"]), operators, percents, windows)
within = st.sampled_from(["parent", "campaign", "account"])
ends = st.sampled_from(["top", "bottom"])
ranks = st.builds(
    Rank, ends, st.sampled_from(sorted(plain)), within, st.integers(1, 9), st.none(), windows, st.booleans()
) | st.builds(Rank, ends, st.sampled_from(sorted(plain)), within, st.none(), percents, windows, st.booleans())


def tree_of(leaves: Any, *, most: int = 10) -> Any:
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(All, st.lists(inner, min_size=1, max_size=4).map(tuple))
            | st.builds(Any_, st.lists(inner, min_size=1, max_size=4).map(tuple))
            | st.builds(Not, inner)
        ),
        max_leaves=most,
    )


filters = tree_of(compares() | fact_nodes() | shares, most=4)
trees = tree_of(compares() | fact_nodes() | shares | ranks)
budgets = st.sampled_from(["daily", "lifetime"])
_words = st.text("abc XYZ-|", min_size=1, max_size=20)
actions = st.one_of(
    st.sampled_from([Action.PAUSE, Action.ADJUST_BIDDING, Action.EXPAND_AUDIENCE, Action.DUPLICATE_PAUSED]).map(Do),
    st.builds(lambda hours: Do(Action.PAUSE_UNTIL, hours=hours), st.integers(1, 720)),
    st.builds(lambda days: Do(Action.PAUSE_UNTIL, days=days), st.integers(1, 90)),
    st.builds(lambda hour: Do(Action.PAUSE_UNTIL, hour=hour), st.integers(0, 23)),
    st.builds(lambda ours: Do(Action.START, only_ours=ours), st.booleans()),
    st.builds(lambda amount, budget: Do(Action.SET_BUDGET, amount=amount, budget=budget), amounts, budgets),
    st.builds(
        lambda action, percent, limit, budget: Do(action, percent=percent, limit=limit, budget=budget),
        st.sampled_from([Action.RAISE_BUDGET, Action.LOWER_BUDGET]), percents, amounts, budgets,
    ),
    st.builds(
        lambda action, amount, limit: Do(action, amount=amount, limit=limit),
        st.sampled_from([Action.RAISE_BUDGET, Action.LOWER_BUDGET, Action.RAISE_BID, Action.LOWER_BID]),
        amounts, amounts,
    ),
    st.builds(
        lambda metric, window, percent, limit: Do(
            Action.REBALANCE, metric=metric, window=window, percent=percent, limit=limit
        ),
        st.sampled_from(["roas", "cpa", "cpc"]), windows, percents, amounts,
    ),
    st.builds(lambda amount: Do(Action.SET_BID, amount=amount), amounts),
    st.builds(lambda days: Do(Action.SET_END, days=days), st.integers(0, 365)),
    st.builds(
        lambda mode, text: Do(Action.RENAME, text=text, mode=mode), st.sampled_from(["prefix", "suffix"]), _words
    ),
    st.builds(lambda text, other: Do(Action.RENAME, text=text, other=other, mode="replace"), _words, _words),
    st.builds(
        lambda text, severity: Do(Action.NOTIFY, text=text, severity=severity),
        st.just("") | _words, st.sampled_from(["info", "warning", "critical"]),
    ),
    st.builds(lambda to: Do(Action.BID_STRATEGY, text=to), st.sampled_from(BID_STRATEGIES)),
)  # fmt: skip
_ids = st.lists(st.text("0123456789", min_size=1, max_size=20), max_size=3, unique=True).map(tuple)


@st.composite
def documents(draw: Any) -> Document:
    level = draw(st.sampled_from(["budget_owner", "adset"]))
    cases = []
    for number in range(draw(st.integers(1, 3))):
        does = {do.field: do for do in draw(st.lists(actions, min_size=1, max_size=3))}
        cases.append(Case(f"case {number}", draw(trees), tuple(does.values())))
    scope = Scope(draw(_ids), draw(_ids), draw(st.none() | filters), draw(st.booleans()))
    return Document(tuple(cases), level, scope)


def of_schema(schema: dict[str, Any], defs: dict[str, Any], *, depth: int = 4) -> Any:
    """JSON values that a schema of ours admits."""
    if "$ref" in schema:
        inner = defs[schema["$ref"].rpartition("/")[2]]
        if depth <= 0:  # the ends of a tree: kinds that hold no other
            flat = [one for one in inner["anyOf"] if "$ref" not in str(one)]
            inner = {"anyOf": flat}
        return st.deferred(lambda: of_schema(inner, defs, depth=depth - 1))
    if "anyOf" in schema:
        return st.one_of(*(of_schema(one, defs, depth=depth) for one in schema["anyOf"]))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "string":
            if "pattern" in schema:
                return st.from_regex(schema["pattern"].replace("$", r"\Z"), fullmatch=True)
            return st.text(min_size=schema["minLength"], max_size=min(schema["maxLength"], 12))
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(
                of_schema(schema["items"], defs, depth=depth), min_size=schema["minItems"], max_size=2
            )
    return _objects(schema, defs, depth)


def _objects(schema: dict[str, Any], defs: dict[str, Any], depth: int) -> Any:
    shapes = {key: of_schema(one, defs, depth=depth) for key, one in schema["properties"].items()}
    groups = [set(one["required"]) for one in schema.get("oneOf", ())]
    grouped: set[str] = set().union(*groups)
    free = set(shapes) - set(schema["required"]) - grouped

    def of(group: set[str]) -> Any:
        needed = {key: shapes[key] for key in {*schema["required"], *group}}
        return st.fixed_dictionaries(needed, optional={key: shapes[key] for key in sorted(free)})

    return st.one_of(*(of(group) for group in groups)) if groups else of(set())
