"""Formulas of a client's own metrics, checked before they are saved: units, double counting, mixed results.

    text -> tree (+ - * / parentheses, numbers, metric names) -> bases, each with what it counts
         -> Formula: what it needs, what it is, whether it may be added -> evaluate(sums)

A name is a metric of the registry or one of its aliases, and stands for its formula over sums, so a formula over ratios
is divided last like everything else. Adding what is not of one kind is refused with the reason: money and clicks,
impressions and clicks, purchases and leads, a part and its whole. PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from insights.errors import BadFormula, UnknownMetric
from insights.metrics import ADDITIVE, METRICS, VALUES, Bases, Unit, named

LONGEST: Final = 300
_DEEPEST: Final = 20
_LARGEST: Final = 10**12
#: What a count is a part of: they may be taken from each other, and never added.
_PART_OF: Final[Mapping[str, str]] = {
    "link_clicks": "clicks",
    "outbound_clicks": "clicks",
    "landing_page_views": "clicks",
    **dict.fromkeys(
        ("video_views", "video_p25", "video_p50", "video_p75", "video_p100", "thruplays"), "video_plays"
    ),
}
_RESULT_OF: Final[Mapping[str, str]] = {
    **{value: count for count, value in VALUES.items()},
    "conversion_value": "conversions",
    "profit": "conversions",
}
_OPERATORS: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}


@dataclass(frozen=True)
class Kind:
    """What a value is: powers of money and of things counted, and whose results are in it.

    `things` are sorted (name, power) pairs."""

    money: int = 0
    things: tuple[tuple[str, int], ...] = ()
    results: frozenset[str] = frozenset()

    @property
    def counted(self) -> bool:
        """A count of things that are no results."""
        return self.money == 0 and bool(self.things) and not self.results

    @property
    def plain(self) -> bool:
        """A bare number."""
        return self.money == 0 and not self.things

    def words(self) -> str:
        if self.plain:
            return "a plain number"
        up = ["money"] * max(0, self.money) + [
            name for name, power in self.things for _ in range(max(0, power))
        ]
        down = ["money"] * max(0, -self.money) + [
            name for name, power in self.things for _ in range(max(0, -power))
        ]
        text = " × ".join(up) or "1"
        return (f"{text} per {' × '.join(down)}" if down else text).replace("_", " ")


@dataclass(frozen=True)
class Formula:
    """A checked formula. `bases` are columns of the sums; `summable` whether adding its values over days or objects is
    right; `lag_days` the longest that Meta restates any of it; `attributed` if its number depends on the attribution
    window, `of_result` if on what counts as a conversion; `private` if it rests on costs."""

    text: str
    unit: Unit
    kind: str
    bases: frozenset[str]
    metrics: tuple[str, ...]
    summable: bool
    hourly: bool
    private: bool
    attributed: bool
    of_result: bool
    lag_days: int
    _tree: ast.expr

    def evaluate(self, bases: Bases) -> Decimal | None:
        """The value over sums; None where a needed sum is unknown or a divisor is 0."""
        return _value(self._tree, bases)


def parse(text: str) -> Formula:
    """Check a formula. Raises `BadFormula` with what is wrong and, where there is one, what to write instead."""
    if len(text) > LONGEST:
        raise BadFormula(f"A formula has at most {LONGEST} characters.")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadFormula(
            "This is not a formula.",
            "Write it with names, numbers, + - * / and parentheses, like spend / purchases.",
        ) from None
    names: dict[str, None] = {}
    found = _check(tree, names, 0)
    if not names:
        raise BadFormula(
            "A formula needs at least one metric.", f"For instance: {', '.join(list(METRICS)[:4])}."
        )
    if abs(found.kind.money) > 1 or any(abs(power) > 1 for _, power in found.kind.things):
        raise BadFormula(
            f"The outcome would be {found.kind.words()}, which nobody can read.", "Divide once, not multiply."
        )
    metrics = [METRICS[name] for name in names]
    bases = frozenset(base for one in metrics for base in one.bases)
    return Formula(
        text=" ".join(text.split()),
        unit=_unit(found.kind),
        kind=found.kind.words(),
        bases=bases,
        metrics=tuple(names),
        summable=found.linear and all(one.summable for one in metrics),
        hourly=all(one.hourly for one in metrics),
        private=any(one.private for one in metrics),
        attributed=any(one.attributed for one in metrics),
        of_result=any(one.of_result for one in metrics),
        lag_days=max(one.lag_days for one in metrics),
        _tree=tree,
    )


@dataclass(frozen=True)
class _Found:
    kind: Kind
    #: A sum of summable metrics times numbers, without a constant: its values add up.
    linear: bool
    constant: bool = False
    #: Counts that stand in it as such or above a line, and whether they are added (1) or taken away (-1): a part is
    #: never added to its whole, whatever both are multiplied by or divided through.
    parts: frozenset[tuple[str, int]] = frozenset()

    def times(self, sign: int) -> frozenset[tuple[str, int]]:
        return frozenset((name, own * sign) for name, own in self.parts)


def _check(node: ast.expr, names: dict[str, None], depth: int) -> _Found:
    if depth > _DEEPEST:
        raise BadFormula(f"A formula is nested at most {_DEEPEST} deep.")
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise BadFormula("Only numbers and metrics stand in a formula.")
        if not node.value <= _LARGEST:  # Python reads 1e999 as infinite
            raise BadFormula(f"A number in a formula is at most {_LARGEST:,}.")
        return _Found(Kind(), linear=False, constant=True)
    if isinstance(node, ast.Name):
        try:
            metric = named(node.id)
        except UnknownMetric as unknown:
            raise BadFormula(str(unknown), _nearest(node.id)) from None
        if metric.unit == "rank":
            raise BadFormula(
                f"{metric.label} is an order of classes, not an amount: nothing can be computed with it.",
                "Ask for it by its own name.",
            )
        names.setdefault(metric.name)
        counted = frozenset({(metric.top, 1)} if _base_kind(metric.top).counted else ())
        return _Found(_kind_of(metric.name), linear=metric.summable, parts=counted)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _check(node.operand, names, depth + 1)
        return replace(inner, parts=inner.times(-1)) if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _check(node.left, names, depth + 1), _check(node.right, names, depth + 1)
        if isinstance(node.op, ast.Add | ast.Sub):
            return _added(left, right, adding=isinstance(node.op, ast.Add))
        if isinstance(node.op, ast.Div) and _zero(node.right):
            raise BadFormula("Nothing is divided by 0.")
        signs = [_sign(part, found) for part, found in ((node.left, left), (node.right, right))]
        return _multiplied(left, right, signs=signs, power=1 if isinstance(node.op, ast.Mult) else -1)
    raise BadFormula("Only + - * / and parentheses may stand in a formula.")


def _added(left: _Found, right: _Found, *, adding: bool) -> _Found:
    one, two = left.kind, right.kind
    if one.plain != two.plain:
        raise BadFormula(
            f"{_first_up(one.words())} and {two.words()} cannot be {'added' if adding else 'subtracted'}.",
            "A number can be multiplied or divided by, not added.",
        )
    if (one.money, one.things) != (two.money, two.things):
        raise BadFormula(
            f"{_first_up(one.words())} and {two.words()} are different things.",
            "Divide one by the other, or add only what is counted alike.",
        )
    if one.results and two.results and one.results != two.results:
        words = [" and ".join(sorted(kind.results)).replace("_", " ") for kind in (one, two)]
        raise BadFormula(
            f"{_first_up(words[0])} and {words[1]} are different results: one person may be in both.",
            "Make one metric for each of them.",
        )
    others = right.times(1 if adding else -1)
    for name, sign in sorted(left.parts):
        for other, its in sorted(others):
            if name != other and sign == its and _whole(name) == _whole(other):
                raise BadFormula(
                    f"{_first_up(name)} and {other} overlap: they would be counted twice.".replace("_", " "),
                    "Subtract the part from the whole, or use the whole alone.",
                )
    constant = left.constant and right.constant
    kind = Kind(one.money, one.things, one.results | two.results)
    return _Found(kind, linear=left.linear and right.linear, constant=constant, parts=left.parts | others)


def _whole(name: str) -> str:
    return _PART_OF.get(name, name)


def _sign(node: ast.expr, found: _Found) -> int:
    """Whether a number is below 0; what is not known yet counts as above."""
    value = _value(node, {}) if found.constant else None
    return -1 if value is not None and value < 0 else 1


def _multiplied(left: _Found, right: _Found, *, signs: list[int], power: int) -> _Found:
    things = dict(left.kind.things)
    for name, times in right.kind.things:
        things[name] = things.get(name, 0) + power * times
    kind = Kind(
        left.kind.money + power * right.kind.money,
        tuple(sorted((name, times) for name, times in things.items() if times)),
        left.kind.results | right.kind.results,
    )
    linear = (left.linear and right.constant) or (right.linear and left.constant and power == 1)
    parts = left.times(signs[1]) | (right.times(signs[0]) if power == 1 else frozenset())
    return _Found(kind, linear=linear, constant=left.constant and right.constant, parts=parts)


def _kind_of(name: str) -> Kind:
    metric = METRICS[name]
    if metric.over is None:
        return _base_kind(metric.top)
    top, over = _base_kind(metric.top), _base_kind(metric.over)
    things = dict(top.things)
    for thing, power in over.things:
        things[thing] = things.get(thing, 0) - power
    return Kind(
        top.money - over.money,
        tuple(sorted((one, power) for one, power in things.items() if power)),
        top.results | over.results,
    )


def _base_kind(base: str) -> Kind:
    if ADDITIVE.get(base) == "money" or base in ("conversion_value", "profit"):
        return Kind(money=1, results=frozenset(filter(None, [_RESULT_OF.get(base)])))
    if base in VALUES or base == "conversions":
        return Kind(things=(("results", 1),), results=frozenset({base}))
    return Kind(things=((_whole(base), 1),))


def _unit(kind: Kind) -> Unit:
    if kind.money == 1 and all(power < 0 for _, power in kind.things):
        return "money"
    if kind.money == 0 and len(kind.things) == 1 and kind.things[0][1] == 1:
        return "count"
    return "ratio"


def _value(node: ast.expr, bases: Bases) -> Decimal | None:
    if isinstance(node, ast.Constant):
        return Decimal(str(node.value))
    if isinstance(node, ast.Name):
        metric = named(node.id)
        top = bases.get(metric.top)
        if metric.over is None or top is None:
            return top
        over = bases.get(metric.over)
        return None if over is None or over == 0 else top * metric.times / over
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, bases)
        return -inner if inner is not None and isinstance(node.op, ast.USub) else inner
    assert isinstance(node, ast.BinOp)
    left, right = _value(node.left, bases), _value(node.right, bases)
    if left is None or right is None:
        return None
    return _COMPUTE[type(node.op)](left, right)


_COMPUTE: Final[Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal | None]]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right if right else None,
}


def _zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), METRICS, n=3)
    return f"Did you mean {' or '.join(close)}?" if close else "GET /api/metrics lists the names there are."


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
