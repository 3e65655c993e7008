"""Sums into the texts of a row: every scalar a JSON string, every metric without data left out (reference 5.4).

Ratios are computed from exact whole numbers. ``actions`` is Meta's hierarchy: the same purchase appears under
``purchase``, ``omni_purchase`` and the pixel's name, and ``post_engagement`` contains ``link_click``; it must
never be summed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from metaads.sandbox.delivery import day as d
from metaads.sandbox.delivery.curves import Ints
from metaads.sandbox.money import major_text, offset, ratio_text

FAMILY = {
    d.PURCHASE: ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase"),
    d.CART: ("omni_add_to_cart", "add_to_cart", "offsite_conversion.fb_pixel_add_to_cart"),
    d.LEAD: ("lead", "onsite_conversion.lead_grouped"),
    d.CHECKOUT: (
        "omni_initiated_checkout",
        "initiate_checkout",
        "offsite_conversion.fb_pixel_initiate_checkout",
    ),
    d.REGISTRATION: (
        "omni_complete_registration",
        "complete_registration",
        "offsite_conversion.fb_pixel_complete_registration",
    ),
}
WINDOW_BUCKETS = {
    "1d_click": (d.CLICK_1D,),
    "7d_click": (d.CLICK_1D, d.CLICK_7D),
    "28d_click": (d.CLICK_1D, d.CLICK_7D, d.CLICK_28D),
    "1d_view": (d.VIEW_1D,),
}
DEFAULT = (d.CLICK_1D, d.CLICK_7D, d.VIEW_1D)


@dataclasses.dataclass(slots=True)
class Sums:
    """A row's additive numbers: ``counts`` [COUNTS], ``number`` and ``value`` [KINDS, BUCKETS]; reach None =
    not known.
    """

    counts: Ints
    number: Ints
    value: Ints
    reach: int | None
    currency: str
    windows: tuple[str, ...] = ()
    off_meta: bool = True
    result: str = "link_click"


def metric(name: str, sums: Sums) -> Any:
    """The value of a metric field, or None when it has no data."""
    if name in _SCALARS:
        return _SCALARS[name](sums)
    if name in _LISTS:
        return _LISTS[name](sums) or None
    return None


def _count(which: int) -> Any:
    def text(sums: Sums) -> str | None:
        value = int(sums.counts[which])
        return str(value) if value or which in (d.IMPRESSIONS, d.CLICKS) else None

    return text


def _spend(sums: Sums) -> str:
    return major_text(int(sums.counts[d.SPEND]), sums.currency)


def _per(which: int, times: int = 1) -> Any:
    """Spend per ``times`` of a count, in major units."""

    def text(sums: Sums) -> str | None:
        count = int(sums.counts[which])
        return ratio_text(int(sums.counts[d.SPEND]) * times, count * offset(sums.currency)) if count else None

    return text


def _rate(which: int) -> Any:
    """A count per hundred impressions."""

    def text(sums: Sums) -> str | None:
        shown, count = int(sums.counts[d.IMPRESSIONS]), int(sums.counts[which])
        return ratio_text(count * 100, shown) if shown and (count or which == d.CLICKS) else None

    return text


def _unique(which: int, sums: Sums) -> int:
    # People who clicked: a few click twice. Rounded up, so that it stays sub-additive like reach.
    return -(-int(sums.counts[which]) * 93 // 100)


def _reach(sums: Sums) -> str | None:
    return None if sums.reach is None else str(sums.reach)


def _frequency(sums: Sums) -> str | None:
    if sums.reach is None:
        return None
    return ratio_text(int(sums.counts[d.IMPRESSIONS]), sums.reach) if sums.reach else "0"


def _cpp(sums: Sums) -> str | None:
    return (
        ratio_text(int(sums.counts[d.SPEND]) * 1000, sums.reach * offset(sums.currency))
        if sums.reach
        else None
    )


def action_numbers(sums: Sums) -> dict[str, tuple[int, dict[str, int]]]:
    """Action type -> (default value, value by requested window), only those with data."""
    found: dict[str, tuple[int, dict[str, int]]] = {}
    link, landing, views, reactions = (
        int(sums.counts[i]) for i in (d.LINK_CLICKS, d.LANDING, d.VIEWS, d.REACTIONS)
    )
    engagement = link + views + reactions
    simple = {
        "link_click": link,
        "landing_page_view": landing if sums.off_meta else 0,
        "video_view": views,
        "post_reaction": reactions,
        "post_engagement": engagement,
        "page_engagement": engagement,
    }
    clicks = [window for window in sums.windows if window.endswith("_click")]
    for name, value in simple.items():
        if value:
            found[name] = (value, dict.fromkeys(clicks, value))
    for kind, names in FAMILY.items():
        if not sums.off_meta and kind != d.LEAD:
            continue
        value, by_window = _windowed(sums.number[kind], sums.windows)
        if value or by_window:
            for name in names:
                found[name] = (value, by_window)
    return found


def _windowed(row: Ints, windows: tuple[str, ...]) -> tuple[int, dict[str, int]]:
    by_window = {
        window: int(sum(row[bucket] for bucket in WINDOW_BUCKETS[window]))
        for window in windows
        if window in WINDOW_BUCKETS
    }
    return int(sum(row[bucket] for bucket in DEFAULT)), {
        window: value for window, value in by_window.items() if value
    }


def _actions(sums: Sums) -> list[dict[str, str]]:
    return [
        {
            "action_type": name,
            "value": str(value),
            **{window: str(part) for window, part in by_window.items()},
        }
        for name, (value, by_window) in action_numbers(sums).items()
    ]


def _action_values(sums: Sums) -> list[dict[str, str]]:
    rows = []
    for kind, names in FAMILY.items():
        value, by_window = _windowed(sums.value[kind], sums.windows)
        if not (value or by_window) or not (sums.off_meta or kind == d.LEAD):
            continue
        texts = {window: major_text(part, sums.currency) for window, part in by_window.items()}
        worth = {"value": major_text(value, sums.currency), **texts}
        rows += [{"action_type": name, **worth} for name in names]
    return rows


def _cost_per_action(sums: Sums) -> list[dict[str, str]]:
    spend, unit = int(sums.counts[d.SPEND]), offset(sums.currency)
    rows = []
    for name, (value, by_window) in action_numbers(sums).items():
        if value and spend:
            texts = {window: ratio_text(spend, part * unit) for window, part in by_window.items()}
            rows.append({"action_type": name, "value": ratio_text(spend, value * unit), **texts})
    return rows


def _roas(*names: str) -> Any:
    def rows(sums: Sums) -> list[dict[str, str]]:
        spend = int(sums.counts[d.SPEND])
        value, by_window = _windowed(sums.value[d.PURCHASE], sums.windows)
        if not spend or not value or not sums.off_meta:
            return []
        texts = {window: ratio_text(part, spend) for window, part in by_window.items()}
        return [{"action_type": name, "value": ratio_text(value, spend), **texts} for name in names]

    return rows


def _listed(action: str, which: int) -> Any:
    """An action list with one entry: a count."""

    def rows(sums: Sums) -> list[dict[str, str]]:
        value = int(sums.counts[which])
        return [{"action_type": action, "value": str(value)}] if value else []

    return rows


def _results(sums: Sums) -> list[dict[str, Any]]:
    found = action_numbers(sums).get(sums.result)
    if sums.result == "reach":
        value = sums.reach or 0
    else:
        value = found[0] if found else 0
    indicator = sums.result if sums.result == "reach" else f"actions:{sums.result}"
    return (
        [{"indicator": indicator, "values": [{"value": str(value), "attribution_windows": ["default"]}]}]
        if value
        else []
    )


def _cost_per_result(sums: Sums) -> list[dict[str, Any]]:
    rows = _results(sums)
    if not rows or not int(sums.counts[d.SPEND]):
        return []
    count = int(rows[0]["values"][0]["value"])
    text = ratio_text(int(sums.counts[d.SPEND]), count * offset(sums.currency))
    return [
        {"indicator": rows[0]["indicator"], "values": [{"value": text, "attribution_windows": ["default"]}]}
    ]


_SCALARS: dict[str, Any] = {
    "impressions": _count(d.IMPRESSIONS),
    "clicks": _count(d.CLICKS),
    "spend": _spend,
    "reach": _reach,
    "frequency": _frequency,
    "cpp": _cpp,
    "cpc": _per(d.CLICKS),
    "cpm": _per(d.IMPRESSIONS, 1000),
    "ctr": _rate(d.CLICKS),
    "inline_link_clicks": _count(d.LINK_CLICKS),
    "inline_link_click_ctr": _rate(d.LINK_CLICKS),
    "cost_per_inline_link_click": _per(d.LINK_CLICKS),
    "unique_clicks": lambda sums: str(_unique(d.CLICKS, sums)) if sums.counts[d.CLICKS] else None,
    "unique_inline_link_clicks": lambda sums: (
        str(_unique(d.LINK_CLICKS, sums)) if sums.counts[d.LINK_CLICKS] else None
    ),
    "unique_ctr": lambda sums: ratio_text(_unique(d.CLICKS, sums) * 100, sums.reach) if sums.reach else None,
    "inline_post_engagement": lambda sums: _engaged(sums),
}
_LISTS: dict[str, Any] = {
    "actions": _actions,
    "action_values": _action_values,
    "cost_per_action_type": _cost_per_action,
    "purchase_roas": _roas("omni_purchase"),
    "website_purchase_roas": _roas("offsite_conversion.fb_pixel_purchase"),
    "outbound_clicks": _listed("outbound_click", d.OUTBOUND),
    "video_play_actions": _listed("video_view", d.VIDEO),
    "video_p25_watched_actions": _listed("video_view", d.P25),
    "video_p50_watched_actions": _listed("video_view", d.P50),
    "video_p75_watched_actions": _listed("video_view", d.P75),
    "video_p95_watched_actions": _listed("video_view", d.P95),
    "video_p100_watched_actions": _listed("video_view", d.P100),
    "video_thruplay_watched_actions": _listed("video_view", d.THRUPLAY),
    "results": _results,
    "cost_per_result": _cost_per_result,
    "objective_results": _results,
}


def _engaged(sums: Sums) -> str | None:
    value = sum(int(sums.counts[which]) for which in (d.LINK_CLICKS, d.VIEWS, d.REACTIONS))
    return str(value) if value else None
