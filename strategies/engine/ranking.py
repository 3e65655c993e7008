"""Where each object stands among its like: the highest or lowest N, or N percent, of a metric.

- The field: objects of the rule's scope (its level, `only`, `except`, `where`) within the same parent, campaign or
  account that delivered in the window, those that are paused by now too: so a rule that pauses the lowest fifth every
  day does not eat its way up. With `zeros` also those that delivered nothing.
- Out of the field: an object that delivered nothing. It is not among the lowest, nor the highest.
- Ties: all of a tie are in, or all are out; where a tie does not fit it is out. Of four alike nobody is lowest.
- Unknown figures: an object without one may stand anywhere. Who is in wherever it stood is in; who is out wherever
  it stood is out; between them nobody knows. A ratio on fewer impressions than any judgement needs is unknown.
- N percent of the field is rounded down: a tenth of nine objects is none.

PURE.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal

from insights.metrics import METRICS
from strategies.engine.evidence import MIN_IMPRESSIONS
from strategies.engine.rules import Rank
from strategies.engine.types import Place, Subject, Truth


def places(rank: Rank, field: Collection[Subject]) -> dict[str, Place]:
    """Object id -> its place, for objects of the field."""
    groups: dict[str, list[Subject]] = defaultdict(list)
    for one in field:
        if rank.zeros or _delivered(one, rank.window):
            groups[group(one, rank.within)].append(one)
    found: dict[str, Place] = {}
    for members in groups.values():
        found |= _places(rank, members)
    return found


def group(subject: Subject, within: str) -> str:
    """What the object shares with those that it is compared with."""
    if within == "account" or subject.level == "campaign":
        return ""
    if within == "campaign" or subject.level == "adset":
        return subject.campaign_id or subject.parent_id or ""
    return subject.parent_id or ""


def among(rank: Rank, place: Place | None) -> Truth:
    """Whether an object at this place is among those asked for; `None`: nobody can know."""
    if place is None or not place.ranked:
        return False
    if place.value is None:
        return None
    size = wanted(rank, place.size)
    if place.ahead + 1 > size:
        return False
    return True if place.ahead + 1 + place.unknown <= size else None


def wanted(rank: Rank, size: int) -> int:
    """How many of a field of that size are asked for."""
    if rank.percent is None:
        return rank.count or 0
    return int((rank.percent * size / 100).to_integral_value(ROUND_FLOOR))


def figure(subject: Subject, metric: str, window: str) -> Decimal | None:
    """The object's figure as far as it may be compared with others'."""
    values = subject.values.get(window, {})
    known = METRICS.get(metric)
    value = values.get(metric)
    if known is None or known.summable or known.unit == "rank":
        return value
    impressions = values.get("impressions")
    return value if impressions is not None and impressions >= MIN_IMPRESSIONS else None


def _delivered(subject: Subject, window: str) -> bool:
    impressions = subject.values.get(window, {}).get("impressions")
    return impressions is None or impressions > 0


def _places(rank: Rank, members: Sequence[Subject]) -> dict[str, Place]:
    known: Mapping[str, Decimal | None] = {
        one.object_id: figure(one, rank.metric, rank.window) for one in members
    }
    ordered = sorted((value for value in known.values() if value is not None), reverse=rank.end == "top")
    unknown = len(known) - len(ordered)
    last = {value: index for index, value in enumerate(ordered)}  # of equal ones the last
    return {
        object_id: Place(True, None, 0, unknown - 1, len(known))
        if value is None
        else Place(True, value, last[value], unknown, len(known))
        for object_id, value in known.items()
    }
