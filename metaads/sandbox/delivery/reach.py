"""How many people: concave in impressions, so that reach never exceeds the sum of its parts.

An ad set's reach over any days is ``f(impressions)`` with ``f(0) = 0`` and falling slope <= 1; campaigns and
accounts are unions of independent samples. Rounding is always up: the ceiling of a sub-additive function is
sub-additive on whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

GUARD = 1e-6


def of_impressions(impressions: int, *, audience: int) -> int:
    """People reached by ``impressions`` shown inside an audience; <= impressions, <= audience."""
    if impressions <= 0:
        return 0
    # People see an ad unevenly: the effective audience of one campaign is a part of the people who could see it.
    size = audience * 0.55
    return min(impressions, max(1, math.ceil(size * -math.expm1(-impressions / size) - GUARD)))


def union(parts: Iterable[int], *, universe: int) -> int:
    """People reached by any of several independent parts; between the largest part and the sum."""
    sizes = [part for part in parts if part > 0]
    if not sizes:
        return 0
    if len(sizes) == 1:
        return sizes[0]
    whole = float(max(universe, *sizes))
    missed = 1.0
    for size in sizes:
        missed *= 1.0 - size / whole
    return max(max(sizes), math.ceil(whole * (1.0 - missed) - GUARD))


def of_cell(total: int, *, impressions: int, whole: int) -> int:
    """A breakdown cell's people: its share of ``total``, rounded up, so that the cells sum to at least the total."""
    return 0 if whole <= 0 else -(-total * impressions // whole)
