"""Where a value lies among others, told so that none of the others can be read off.

A median of five values is one of the five. `quartiles` weighs all of them instead (Harrell and Davis, 1982), and
`blurred` keeps two significant digits. PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

_STEPS = 4000


def quartiles(values: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    """Lower quartile, median and upper quartile, each a weighted mean of all values; at least two are needed."""
    import numpy as np  # where it is needed: it costs 10 MB in every process, and few ever compare clients

    ordered = np.sort(np.array([float(value) for value in values]))
    if len(ordered) < 2:
        raise ValueError("at least two values")
    low, middle, high = (float(ordered @ _weights(len(ordered), share)) for share in (0.25, 0.5, 0.75))
    return Decimal(repr(low)), Decimal(repr(middle)), Decimal(repr(high))


def _weights(count: int, share: float) -> Any:
    """What each ordered value counts: the mass of Beta((n + 1) p, (n + 1) (1 - p)) over its n-th of [0, 1]."""
    import numpy as np

    a, b = (count + 1) * share, (count + 1) * (1 - share)
    x = (np.arange(_STEPS * count) + 0.5) / (_STEPS * count)
    log = (a - 1) * np.log(x) + (b - 1) * np.log1p(-x)
    density = np.exp(log - log.max())
    mass = density.reshape(count, _STEPS).sum(axis=1)
    return mass / mass.sum()


def blurred(value: Decimal) -> Decimal:
    """Two significant digits."""
    if not value:
        return Decimal(0)
    rounded = value.quantize(Decimal(1).scaleb(value.adjusted() - 1), ROUND_HALF_EVEN)
    return (
        +rounded
        if rounded.adjusted() == value.adjusted()
        else rounded.quantize(Decimal(1).scaleb(rounded.adjusted() - 1))
    )


def standing(value: Decimal, others: Sequence[Decimal]) -> Decimal:
    """The percentage of `others` below the value, equal ones counted half."""
    below = sum(1 for one in others if one < value)
    same = sum(1 for one in others if one == value)
    return (Decimal(below) + Decimal(same) / 2) * 100 / len(others)
