"""The one registry of metrics: what each is called, how it is computed from summable bases, how it reads.

    rows -> sums of BASES over the period -> with_result(client's result) -> evaluate(name, bases)

Sum first, divide last. Reach is a base that is *read* for one period and never summed. A ratio whose
denominator is 0 or unknown is unknown (`None`), never 0. Pages, the API, rules and exports all read
this table. PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from insights.errors import UnknownMetric

Unit = Literal["money", "count", "ratio", "percent"]
Bases = Mapping[str, Decimal | None]

#: Additive columns of every fact and rollup, in column order: name -> is it money in the account's currency.
#: Counts of actions may carry fractions (data-driven attribution), so they are stored like money.
ADDITIVE: Final[Mapping[str, Literal["money", "whole", "action"]]] = {
    "spend": "money",
    "impressions": "whole",
    "clicks": "whole",
    "link_clicks": "whole",
    "outbound_clicks": "action",
    "landing_page_views": "action",
    "engagements": "action",
    "video_plays": "action",
    "thruplays": "action",
    "purchases": "action",
    "purchase_value": "money",
    "leads": "action",
    "lead_value": "money",
    "add_to_carts": "action",
    "add_to_cart_value": "money",
    "checkouts": "action",
    "checkout_value": "money",
    "registrations": "action",
    "registration_value": "money",
}
#: What the hourly read can answer: no reach, no video, and no actions that happened off Meta, so no
#: conversions (docs/meta.md, section 5.5). Everything else is unknown by the hour, not 0.
HOURLY: Final = frozenset({"spend", "impressions", "clicks", "link_clicks"})

#: Action families. The first type that a row has is the family's number: Meta's list is hierarchical, and
#: `omni_purchase` already contains the others, so they are never added (docs/meta.md, section 5.8).
#: Chosen per row, so that the parts still add up to the whole.
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "purchases": ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase"),
    "leads": ("lead", "offsite_conversion.fb_pixel_lead", "onsite_conversion.lead_grouped"),
    "add_to_carts": ("omni_add_to_cart", "add_to_cart", "offsite_conversion.fb_pixel_add_to_cart"),
    "checkouts": (
        "omni_initiated_checkout",
        "initiate_checkout",
        "offsite_conversion.fb_pixel_initiate_checkout",
    ),
    "registrations": (
        "omni_complete_registration",
        "complete_registration",
        "offsite_conversion.fb_pixel_complete_registration",
    ),
    "landing_page_views": ("omni_landing_page_view", "landing_page_view"),
    "engagements": ("post_engagement",),
}
VALUES: Final[Mapping[str, str]] = {
    "purchases": "purchase_value",
    "leads": "lead_value",
    "add_to_carts": "add_to_cart_value",
    "checkouts": "checkout_value",
    "registrations": "registration_value",
}
#: A client's chosen result (Meta's action type) -> the base that counts it.
RESULTS: Final[Mapping[str, str]] = {
    **{action: base for base, actions in FAMILIES.items() for action in actions},
    "link_click": "link_clicks",
}


@dataclass(frozen=True)
class Metric:
    """One metric: `over` is a base (or None: just the numerator), the value `top / over * times`.

    `summable` says whether adding it over rows or days means anything. `lag_days` is how long Meta still
    restates it. `decimals` is for display. `good` tells a reader which direction is welcome: up, down, or "".
    """

    name: str
    label: str
    unit: Unit
    top: str
    over: str | None = None
    times: int = 1
    summable: bool = False
    lag_days: int = 2
    decimals: int = 0
    good: Literal["up", "down", ""] = ""
    description: str = ""

    @property
    def hourly(self) -> bool:
        return HOURLY.issuperset(self.bases)

    @property
    def bases(self) -> tuple[str, ...]:
        return (self.top,) if self.over is None else (self.top, self.over)

    @property
    def formula(self) -> str:
        if self.over is None:
            return self.top
        return f"{self.top} / {self.over}" + (f" * {self.times}" if self.times != 1 else "")


def _sum(name: str, label: str, unit: Unit, top: str | None = None, **more: object) -> Metric:
    return Metric(name=name, label=label, unit=unit, top=top or name, summable=True, **more)  # type: ignore[arg-type]


_ALL: Final = (
    _sum("spend", "Spend", "money", decimals=2, description="Money spent, in the account's currency."),
    _sum("impressions", "Impressions", "count", good="up", description="How often ads were on screen."),
    Metric(
        "reach",
        "Reach",
        "count",
        "reach",
        good="up",
        description="People who saw an ad at least once. Read per day, 7 or 28 days; never added.",
    ),
    Metric(
        "frequency",
        "Frequency",
        "ratio",
        "impressions",
        "reach",
        decimals=2,
        description="Impressions per person reached.",
    ),
    _sum("clicks", "Clicks (all)", "count", good="up", description="All clicks, as Meta counts them."),
    _sum(
        "link_clicks", "Link clicks", "count", good="up", description="Clicks on links (inline_link_clicks)."
    ),
    _sum("outbound_clicks", "Outbound clicks", "count", good="up"),
    _sum("landing_page_views", "Landing page views", "count", good="up"),
    _sum("engagements", "Post engagements", "count", good="up"),
    _sum("video_plays", "Video plays", "count", good="up"),
    _sum("thruplays", "ThruPlays", "count", good="up"),
    Metric("ctr", "CTR", "percent", "clicks", "impressions", 100, decimals=2, good="up",
           description="Clicks (all) per hundred impressions, in percent as Meta reports it."),
    Metric("link_ctr", "Link CTR", "percent", "link_clicks", "impressions", 100, decimals=2, good="up"),
    Metric("cpc", "CPC", "money", "spend", "clicks", decimals=2, good="down", description="Spend per click (all)."),
    Metric("cpm", "CPM", "money", "spend", "impressions", 1000, decimals=2, good="down",
           description="Spend per thousand impressions."),
    Metric("cost_per_link_click", "Cost per link click", "money", "spend", "link_clicks", decimals=2, good="down"),
    Metric("landing_page_view_rate", "Landing page view rate", "percent", "landing_page_views", "link_clicks", 100,
           decimals=1, good="up"),
    _sum("conversions", "Conversions", "count", good="up", lag_days=28,
         description="The client's chosen result, in the account's default attribution window."),
    _sum("conversion_value", "Conversion value", "money", decimals=2, good="up", lag_days=28),
    Metric("conversion_rate", "Conversion rate", "percent", "conversions", "clicks", 100, decimals=2, good="up",
           lag_days=28, description="Conversions per hundred clicks (all)."),
    Metric("cpa", "CPA", "money", "spend", "conversions", decimals=2, good="down", lag_days=28,
           description="Spend per conversion."),
    Metric("roas", "ROAS", "ratio", "conversion_value", "spend", decimals=2, good="up", lag_days=28,
           description="Conversion value per unit of spend."),
    Metric("value_per_conversion", "Value per conversion", "money", "conversion_value", "conversions", decimals=2,
           good="up", lag_days=28),
    _sum("purchases", "Purchases", "count", good="up", lag_days=28),
    _sum("purchase_value", "Purchase value", "money", decimals=2, good="up", lag_days=28),
    _sum("leads", "Leads", "count", good="up", lag_days=28),
    _sum("add_to_carts", "Adds to cart", "count", good="up", lag_days=28),
    _sum("checkouts", "Checkouts started", "count", good="up", lag_days=28),
    _sum("registrations", "Registrations", "count", good="up", lag_days=28),
)  # fmt: skip

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _ALL}

#: The brief's and Meta's own names, so that old rules and reports load unchanged.
ALIASES: Final[Mapping[str, str]] = {
    "inline_link_clicks": "link_clicks",
    "inline_link_click_ctr": "link_ctr",
    "cost_per_inline_link_click": "cost_per_link_click",
    "amount_spent": "spend",
    "cost": "spend",
    "cost_per_conversion": "cpa",
    "cost_per_result": "cpa",
    "results": "conversions",
    "conversionValue": "conversion_value",
    "valuePerConversion": "value_per_conversion",
    "purchase_roas": "roas",
    "costPerConversion": "cpa",
    "linkClicks": "link_clicks",
    "landingPageViewRate": "landing_page_view_rate",
}

_SIX: Final = Decimal("0.000001")


def named(name: str) -> Metric:
    """The metric of that name or alias (letters' case ignored for plain names); raises `UnknownMetric`."""
    found = METRICS.get(ALIASES.get(name, name)) or METRICS.get(name.lower())
    if found is None:
        raise UnknownMetric(name, tuple(METRICS))
    return found


def needed(names: Iterable[str]) -> frozenset[str]:
    """The bases (result bases included) that these metrics are computed from."""
    return frozenset(base for name in names for base in named(name).bases)


def evaluate(name: str, bases: Bases) -> Decimal | None:
    """The metric over summed bases, with all its digits; None when a base is unknown or the divisor is 0."""
    metric = named(name)
    top = bases.get(metric.top)
    if metric.over is None or top is None:
        return top
    over = bases.get(metric.over)
    if over is None or over == 0:
        return None
    return top * metric.times / over


def with_result(bases: Bases, *, result_action: str) -> dict[str, Decimal | None]:
    """The bases with `conversions` and `conversion_value` of the client's chosen result.

    An action that is not measured gives None for both: unknown, not 0. A result without a value of its own
    (a link click) has an unknown value.
    """
    base = RESULTS.get(result_action)
    value = VALUES.get(base) if base else None
    return {
        **bases,
        "conversions": bases.get(base) if base else None,
        "conversion_value": bases.get(value) if value else None,
    }


def result_label(result_action: str) -> str:
    """The chosen result in a reader's words, e.g. "Purchases"."""
    base = RESULTS.get(result_action)
    return METRICS[base].label if base else "Results"


def rounded(value: Decimal | None) -> Decimal | None:
    """Six decimals, half up, without trailing zeros: how Meta writes its own ratios, and how the API does."""
    if value is None:
        return None
    short = value.quantize(_SIX, rounding=ROUND_HALF_UP).normalize()
    return short if short.as_tuple().exponent <= 0 else short.quantize(Decimal(1))  # type: ignore[operator]
