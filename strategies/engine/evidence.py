"""How much data a comparison needs before it counts: no rule fires on three clicks.

A rate is compared with a threshold only when, at exactly that threshold, about `MIN_EVENTS` events were to be
expected: then being short of the threshold says something about the ad and not about chance.

- CTR against t %: impressions >= max(1,000, 10 x 100 / t)
- CPC against t:   spend >= 10 x t (what ten clicks would have cost)
- CPM, frequency and other figures per impression: impressions >= 1,000
- CPA against t:   spend >= 10 x t;  ROAS: at least 10 conversions
- plain sums (spend, impressions, clicks, ...): no minimum, they are what they are

Below it the condition is *unknown*, not false.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from strategies.engine.types import Values

NOT_KNOWN = "not known"
MIN_IMPRESSIONS = Decimal(1000)
MIN_EVENTS = Decimal(10)
_PER_CLICK = frozenset({"cpc", "cost_per_link_click"})
_CLICK_RATE = frozenset({"ctr", "link_ctr"})
_PER_RESULT = frozenset({"cpa"})
_PER_IMPRESSION = frozenset({"cpm", "frequency"})


def shortfall(*, metric: str, threshold: Decimal, values: Values) -> str:
    """What is missing, as "312 of 1,250 impressions"; empty when there is enough."""
    if metric in _CLICK_RATE:
        need = MIN_IMPRESSIONS
        if threshold > 0:
            need = max(need, (MIN_EVENTS * 100 / threshold).to_integral_value(ROUND_CEILING))
        return _short(values.get("impressions"), need, "impressions")
    if metric in _PER_IMPRESSION:
        return _short(values.get("impressions"), MIN_IMPRESSIONS, "impressions")
    if metric in _PER_CLICK or metric in _PER_RESULT:
        # Without a positive threshold no spend would be enough to expect anything: count impressions instead.
        if threshold <= 0:
            return _short(values.get("impressions"), MIN_IMPRESSIONS, "impressions")
        return _short(values.get("spend"), MIN_EVENTS * threshold, "spend")
    if metric == "roas":
        return _short(values.get("conversions"), MIN_EVENTS, "conversions")
    return ""


def _short(have: Decimal | None, need: Decimal, what: str) -> str:
    if have is None:
        return f"{what} {NOT_KNOWN}"
    if have >= need:
        return ""
    return f"{have:,f} of {need:,f} {what}"
