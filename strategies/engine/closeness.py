"""How far a rule stands from the other side of its threshold: an object that is close is worth an early look.

    leaf       |left - right| in parts of the threshold
    all of     true: any child would end it, so the nearest
               false: all children that are false have to turn, so the farthest of them
    any of     the same with true and false exchanged
    not        as its child
    unknown    the nearest of the children that are unknown only because their rate has to be weighed longer

What is unknown for want of data, and a fact (a name, a status), turns by no figure: it has no distance (None).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from strategies.engine.types import Judgement, Trace, Verdict

#: Within a tenth of its threshold a condition may turn with the next figures.
NEAR: Final = Decimal("0.1")


def distance(trace: Trace) -> Decimal | None:
    """The smallest relative move of figures that would turn this truth; None where no move of one does."""
    if trace.result is None:
        # A rate that waits to be known is as near as its figure; one that rests on nothing is not near anything.
        if trace.kind == "metric":
            return _apart(trace.left, trace.right) if trace.guard else None
        return min((one for one in map(distance, _unknown(trace)) if one is not None), default=None)
    if trace.kind == "metric":
        return _apart(trace.left, trace.right)
    if trace.kind == "not":
        return distance(trace.children[0])
    if trace.kind not in ("all", "any"):
        return None
    holding = trace.result is (trace.kind == "all")
    if holding:
        return min((one for one in map(distance, trace.children) if one is not None), default=None)
    return _farthest(distance(child) for child in trace.children if child.result is not (trace.kind == "all"))


def _unknown(trace: Trace) -> list[Trace]:
    return [child for child in trace.children if child.result is None]


def near(judgement: Judgement) -> bool:
    """Whether one of the rule's cases may turn with the next figures of this object."""
    if judgement.verdict is Verdict.EXCLUDED:
        return False
    found = (distance(case.trace) for case in judgement.cases)
    return any(one is not None and one <= NEAR for one in found)


def _apart(left: Decimal | str | None, right: Decimal | str | None) -> Decimal | None:
    if not isinstance(left, Decimal) or not isinstance(right, Decimal):
        return None
    # A threshold of 0 has no parts: only standing on it is near.
    return abs(left - right) / abs(right) if right else Decimal(int(left != right))


def _farthest(distances: Iterable[Decimal | None]) -> Decimal | None:
    worst = Decimal(0)
    for one in distances:
        if one is None:
            return None
        worst = max(worst, one)
    return worst
