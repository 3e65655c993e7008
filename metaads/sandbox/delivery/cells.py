"""Breakdowns: a partition of every ad-day into cells.

The weights of an ad are fixed by its traits and the seed; whole numbers are split by flooring running sums, so
cells add up to the total exactly. Conversions fall into a cell one by one.
"""

from __future__ import annotations

import functools

import numpy as np

from metaads.sandbox.delivery.curves import Floats, Ints, seed_of, uniform
from metaads.sandbox.world.nodes import Node

AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
GENDERS = ("female", "male", "unknown")
# (publisher_platform, platform_position, impression_device, device_platform, weight)
PLACEMENTS: tuple[tuple[str, str, str, str, float], ...] = (
    ("facebook", "feed", "iphone", "mobile_app", 0.21),
    ("facebook", "feed", "android_smartphone", "mobile_app", 0.19),
    ("facebook", "feed", "desktop", "desktop", 0.07),
    ("facebook", "marketplace", "android_smartphone", "mobile_app", 0.04),
    ("facebook", "facebook_reels", "iphone", "mobile_app", 0.06),
    ("facebook", "right_hand_column", "desktop", "desktop", 0.02),
    ("instagram", "feed", "iphone", "mobile_app", 0.12),
    ("instagram", "feed", "android_smartphone", "mobile_app", 0.08),
    ("instagram", "instagram_stories", "iphone", "mobile_app", 0.07),
    ("instagram", "instagram_reels", "iphone", "mobile_app", 0.08),
    ("audience_network", "an_classic", "android_smartphone", "mobile_app", 0.04),
    ("messenger", "messenger_inbox", "iphone", "mobile_app", 0.02),
)
FAMILIES: dict[str, tuple[str, ...]] = {
    "people": ("age", "gender"),
    "country": ("country",),
    "region": ("region",),
    "placement": ("publisher_platform", "platform_position", "impression_device", "device_platform"),
}
REGIONS = {
    "US": ("California", "New York", "Texas", "Washington"),
    "DE": ("Berlin", "Bavaria", "Hamburg"),
    "JP": ("Tokyo", "Osaka", "Aichi"),
}


def family_of(breakdown: str) -> str | None:
    """The partition that a breakdown belongs to."""
    return next((family for family, names in FAMILIES.items() if breakdown in names), None)


@functools.lru_cache(maxsize=8192)
def _weights(ad_id: str, seed: int, family: str, base: tuple[float, ...]) -> Floats:
    keys = np.array([seed_of(seed, ad_id, family, index) for index in range(len(base))], dtype=np.uint64)
    weights = np.array(base) * (0.6 + 0.8 * uniform(keys, 5))
    result: Floats = weights / weights.sum()
    return result


def labels(ad: Node, adset: Node, *, family: str, at: float) -> tuple[tuple[dict[str, str], float], ...]:
    """The cells of an ad (breakdown values) with their base weights, given its targeting."""
    targeting = adset.get("targeting", at, {}) or {}
    countries = (targeting.get("geo_locations") or {}).get("countries") or ["US"]
    if family == "country":
        return tuple(({"country": str(country)}, 1.0 / (rank + 1)) for rank, country in enumerate(countries))
    if family == "region":
        names = REGIONS.get(str(countries[0]), ("unknown",))
        return tuple(({"region": name}, 1.0 / (rank + 1)) for rank, name in enumerate(names))
    if family == "placement":
        return tuple(
            (
                {
                    "publisher_platform": p,
                    "platform_position": q,
                    "impression_device": d,
                    "device_platform": f,
                },
                w,
            )
            for p, q, d, f, w in PLACEMENTS
        )
    exact = ad.get("cell", at)
    if exact:
        return ((dict(exact), 1.0),)
    wanted = targeting.get("genders") or [0]
    low, high = int(targeting.get("age_min", 18)), int(targeting.get("age_max", 65))
    cells = []
    for index, age in enumerate(AGES):
        floor = int(age[:2])
        if floor + 9 < low or floor > high:
            continue
        for gender, share in zip(GENDERS, (0.49, 0.48, 0.03), strict=True):
            if (wanted == [1] and gender != "male") or (wanted == [2] and gender != "female"):
                continue
            cells.append(({"age": age, "gender": gender}, share * (0.9, 1.4, 1.3, 1.0, 0.8, 0.6)[index]))
    return tuple(cells)


def weights(ad: Node, *, seed: int, family: str, base: tuple[float, ...]) -> Floats:
    """The ad's cell weights, summing to 1."""
    return _weights(ad.id, seed, family, base)


def split(counts: Ints, shares: Floats) -> Ints:
    """Whole numbers [n] into cells: [n, cells], exact."""
    edges = np.concatenate(([0.0], np.cumsum(shares)))
    edges[-1] = 1.0
    steps = np.floor(counts[:, None] * edges[None, :] + 1e-9).astype(np.int64)
    result: Ints = np.diff(steps, axis=1)
    return result
