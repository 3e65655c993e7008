"""What stands between a figure and an action: is the *true* rate as the condition says?

    a figure that looks as the condition needs it -> the claim behind it -> the object's days since a start that stands
    still (`Subject.past`) and what the account's days teach (`Snapshot.grounds`) -> `evidence.judge` -> `Weighed`

Weighed are rates whose base is there at once (spend, impressions, clicks, views); of the others, of sums and of figures
per impression or person there is no claim, and `evidence.shortfall` stands in.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from insights.metrics import METRICS, VALUES
from strategies.engine.evidence import Claim, claim_of, judge, sentence
from strategies.engine.expectation import History
from strategies.engine.figures import money
from strategies.engine.rules import OPERATORS
from strategies.engine.types import Snapshot, Subject, Values, Weighed

#: Stands before the words of what may be known later.
NOT_YET: Final = "not known yet: "
OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
#: What a rate may be per: what is there at once, so that only what is seen comes late.
_PER: Final = frozenset({"spend", "impressions", "clicks", "link_clicks", "video_views"})
_MONEY: Final = frozenset({*VALUES.values(), "conversion_value"})
_LEVELS: Final = {"campaign": "campaigns", "adset": "ad sets", "ad": "ads"}
_FOUR: Final = Decimal("0.0001")


def compare(left: Decimal, op: str, right: Decimal) -> bool:
    """`left op right`, exactly; a value on the threshold is neither below nor above it."""
    assert op in OPERATORS
    if op == "<":
        return left < right
    if op == "<=":
        return left <= right
    if op == ">":
        return left > right
    return left >= right


def looks(*, metric: str, op: str, threshold: Decimal, values: Values) -> bool | None:
    """Whether the figure is as the condition says; money spent for nothing is dearer than any threshold."""
    left = values.get(metric)
    if left is not None:
        return compare(left, op, threshold)
    known = METRICS.get(metric)
    if known is None or known.over is None or known.top != "spend":
        return None
    nothing = values.get(known.over) == 0 and (values.get("spend") or 0) > 0
    return op in (">", ">=") if nothing else None


def claimed(*, metric: str, op: str, threshold: Decimal) -> Claim | None:
    """The claim behind "metric op threshold", where it can be weighed."""
    claim = claim_of(metric=metric, greater=op in (">", ">="), threshold=float(threshold))
    if claim is None or claim.per not in _PER or claim.seen == "profit":
        return None
    return claim


def key(level: str, seen: str, per: str) -> str:
    """Under which `Snapshot.grounds` keeps what is known of a rate."""
    return f"{level} {seen} per {per}"


def weighed(
    *, metric: str, op: str, threshold: Decimal, subject: Subject, snapshot: Snapshot
) -> Weighed | None:
    """What is known about the condition; `None` where nothing can be weighed."""
    claim = claimed(metric=metric, op=op, threshold=threshold)
    past = subject.past
    if claim is None or past is None or not {"spend", claim.seen, claim.per} <= past.days.keys():
        return None
    ground = snapshot.grounds.get(key(subject.level, claim.seen, claim.per))
    if ground is None:
        return None
    spend, base, seen = ([float(one) for one in past.days[name]] for name in ("spend", claim.per, claim.seen))
    found = judge(
        claim,
        History(spend, base, seen, float(past.day_gone)),
        shares=None if ground.shares is None else [float(one) for one in ground.shares],
        alpha=float(snapshot.tolerated) / 100,
        scale=None if ground.scale is None else float(ground.scale),
        variation=float(ground.variation),
    )

    def amount(number: float) -> str:
        return money(Decimal(number), snapshot.currency, snapshot.minor_unit)

    target = METRICS[metric]
    shown = amount(float(threshold)) if target.unit == "money" else f"{threshold.normalize():f}"
    words = sentence(
        found,
        target=f"{target.label} of {shown}{' %' if target.unit == 'percent' else ''}",
        events=METRICS[claim.seen].label.partition(" (")[0].lower(),
        objects=_LEVELS[subject.level],
        money=amount,
        money_seen=claim.seen in _MONEY,
        since=f"{past.since.day} {past.since:%b}",
    )
    return Weighed(
        answer=found.answer.value,
        e=_rounded(found.e),
        spent=_rounded(found.spent),
        expected=_rounded(found.expected),
        seen=_rounded(found.seen),
        more_spend=None if found.more_spend is None else _rounded(found.more_spend),
        words=words,
    )


def _rounded(number: float) -> Decimal:
    return Decimal(number).quantize(_FOUR) if number < 1e12 else Decimal(10) ** 12
