"""The one registry of metrics: what each is called, how it is computed from summable bases, how it reads.

    rows -> sums of BASES over the period -> with_terms(the client's result and costs) -> evaluate(name, bases)

Sum first, divide last. Reach is a base that is *read* for one period and never summed. A ratio whose
denominator is 0 or unknown is unknown (`None`), never 0. Pages, the API, rules and exports all read
this table. PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from insights.errors import UnknownMetric

Unit = Literal["money", "count", "ratio", "percent", "rank"]
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
    "video_views": "action",
    "video_p25": "action",
    "video_p50": "action",
    "video_p75": "action",
    "video_p100": "action",
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
    # Meta's "3-second video plays"; `video_plays` counts starts.
    "video_views": ("video_view",),
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


#: Meta's classes of an ad against those that competed for the same people, worst first: an order, not an amount. They
#: are given per ad, from about 500 impressions on (docs/meta.md, section 5.4).
RANKS: Final[Mapping[str, str]] = {
    "BELOW_AVERAGE_10": "Bottom 10 %",
    "BELOW_AVERAGE_20": "Bottom 20 %",
    "BELOW_AVERAGE_35": "Bottom 35 %",
    "AVERAGE": "Average",
    "ABOVE_AVERAGE": "Above average",
}
#: Base -> Meta's field.
RANKINGS: Final = ("quality_ranking", "engagement_rate_ranking", "conversion_rate_ranking")
#: Bases that a client's terms make of the others.
TERMS: Final = frozenset({"conversions", "conversion_value", "profit"})
#: What happens on Meta's own screens; everything else is credited to an ad within an attribution window.
UNATTRIBUTED: Final = frozenset(
    {"spend", "impressions", "reach", "clicks", "link_clicks", "outbound_clicks", "engagements", "thruplays"}
    | {name for name in ADDITIVE if name.startswith("video_")}
    | set(RANKINGS)
)


@dataclass(frozen=True)
class Terms:
    """What one client means by a result, and what its sales and its agency cost it.

    `goods_cost` is the cost of goods in percent of the conversion value, `fee` the agency's fee in percent of
    the spend. Without both, profit is unknown: revenue less spend is not profit.
    """

    result_action: str
    goods_cost: Decimal | None = None
    fee: Decimal | None = None


@dataclass(frozen=True)
class Metric:
    """One metric: `over` is a base (or None: just the numerator), the value `top / over * times`.

    `summable` says whether adding it over rows or days means anything. `lag_days` is how long Meta still
    restates it. `decimals` is for display. `good` tells a reader which direction is welcome: up, down, or "".
    `private` ones rest on what the client pays and earns: only roles that may see costs read them.
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
    private: bool = False

    @functools.cached_property
    def attributed(self) -> bool:
        """Whether it counts what Meta attributes: then the attribution window is a part of the number."""
        return not UNATTRIBUTED.issuperset(self.bases)

    @functools.cached_property
    def of_result(self) -> bool:
        """Whether it depends on what the client calls a result; different results are never added."""
        return not TERMS.isdisjoint(self.bases)

    @property
    def levels(self) -> tuple[str, ...]:
        """Where it exists: Meta ranks ads and nothing above them."""
        return ("ad",) if self.unit == "rank" else ("account", "campaign", "adset", "ad")

    @property
    def not_added(self) -> str:
        """Why its values are not added over objects or days, in words; "" for what adds up."""
        if self.unit == "rank":
            return "classes"
        if self.summable:
            return ""
        return "people counted once" if self.over is None else "divided last"

    @functools.cached_property
    def hourly(self) -> bool:
        return HOURLY.issuperset(self.bases)

    @functools.cached_property
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
    _sum("landing_page_views", "Landing page views", "count", good="up", lag_days=28),
    _sum("engagements", "Post engagements", "count", good="up",
         description="Reactions, comments, shares, link clicks and video views of a post."),
    _sum("video_plays", "Video plays", "count", good="up", description="How often a video began to play."),
    _sum("video_views", "Video views (3 seconds)", "count", good="up",
         description="Plays of three seconds or more, as Meta counts a view."),
    _sum("video_p25", "Watched to 25 %", "count", good="up", description="Plays that reached a quarter."),
    _sum("video_p50", "Watched to 50 %", "count", good="up", description="Plays that reached the middle."),
    _sum("video_p75", "Watched to 75 %", "count", good="up", description="Plays that reached three quarters."),
    _sum("video_p100", "Watched to the end", "count", good="up", description="Plays that reached the end."),
    _sum("thruplays", "ThruPlays", "count", good="up",
         description="Plays to the end, or of 15 seconds or more."),
    Metric("reach_efficiency", "Reach efficiency", "percent", "reach", "impressions", 100, decimals=1, good="up",
           description="People reached per hundred impressions."),
    Metric("cpp", "Cost per 1,000 people", "money", "spend", "reach", 1000, decimals=2, good="down",
           description="Spend per thousand people reached."),
    Metric("engagement_rate", "Engagement rate", "percent", "engagements", "impressions", 100, decimals=2, good="up",
           description="Post engagements per hundred impressions."),
    Metric("view_rate", "View rate (hook rate)", "percent", "video_views", "impressions", 100, decimals=2, good="up",
           description="Three-second views per hundred impressions: how many the first seconds hold."),
    Metric("hold_rate", "Hold rate", "percent", "thruplays", "video_views", 100, decimals=2, good="up",
           description="ThruPlays per hundred three-second views: how many stay."),
    Metric("cost_per_view", "Cost per view", "money", "spend", "video_views", decimals=3, good="down",
           description="Spend per three-second view."),
    Metric("cost_per_thruplay", "Cost per ThruPlay", "money", "spend", "thruplays", decimals=3, good="down"),
    Metric("ctr", "CTR", "percent", "clicks", "impressions", 100, decimals=2, good="up",
           description="Clicks (all) per hundred impressions, in percent as Meta reports it."),
    Metric("link_ctr", "Link CTR", "percent", "link_clicks", "impressions", 100, decimals=2, good="up"),
    Metric("cpc", "CPC", "money", "spend", "clicks", decimals=2, good="down", description="Spend per click (all)."),
    Metric("cpm", "CPM", "money", "spend", "impressions", 1000, decimals=2, good="down",
           description="Spend per thousand impressions."),
    Metric("cost_per_link_click", "Cost per link click", "money", "spend", "link_clicks", decimals=2, good="down"),
    Metric("outbound_ctr", "Outbound CTR", "percent", "outbound_clicks", "impressions", 100, decimals=2, good="up",
           description="Clicks that leave Meta, per hundred impressions."),
    Metric("cost_per_landing_page_view", "Cost per landing page view", "money", "spend", "landing_page_views",
           decimals=2, good="down", lag_days=28),
    Metric("landing_page_view_rate", "Landing page view rate", "percent", "landing_page_views", "link_clicks", 100,
           decimals=1, good="up", lag_days=28),
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
    _sum("profit", "Profit", "money", decimals=2, good="up", lag_days=28, private=True,
         description="Conversion value less the cost of goods, the spend and the agency's fee. Unknown until the"
         " client's cost of goods and fee are set."),
    Metric("profit_margin", "Profit margin", "percent", "profit", "conversion_value", 100, decimals=1, good="up",
           lag_days=28, private=True, description="Profit per hundred of conversion value."),
    Metric("quality_ranking", "Quality ranking", "rank", "quality_ranking", good="up",
           description="How people rate the ad against those that competed for them, as Meta last ranked it in the"
           " period. Known from about 500 impressions on."),
    Metric("engagement_rate_ranking", "Engagement ranking", "rank", "engagement_rate_ranking", good="up",
           description="Its expected engagement, ranked in the same way."),
    Metric("conversion_rate_ranking", "Conversion ranking", "rank", "conversion_rate_ranking", good="up",
           description="Its expected conversion rate, among ads with the same optimisation goal."),
    _sum("purchases", "Purchases", "count", good="up", lag_days=28),
    _sum("purchase_value", "Purchase value", "money", decimals=2, good="up", lag_days=28),
    Metric("cost_per_purchase", "Cost per purchase", "money", "spend", "purchases", decimals=2, good="down",
           lag_days=28),
    Metric("purchase_roas", "Purchase ROAS", "ratio", "purchase_value", "spend", decimals=2, good="up", lag_days=28,
           description="Purchase value per unit of spend, whatever the client calls a result."),
    _sum("leads", "Leads", "count", good="up", lag_days=28),
    _sum("lead_value", "Lead value", "money", decimals=2, good="up", lag_days=28),
    Metric("cost_per_lead", "Cost per lead", "money", "spend", "leads", decimals=2, good="down", lag_days=28),
    _sum("add_to_carts", "Adds to cart", "count", good="up", lag_days=28),
    _sum("add_to_cart_value", "Add-to-cart value", "money", decimals=2, good="up", lag_days=28),
    _sum("checkouts", "Checkouts started", "count", good="up", lag_days=28),
    _sum("checkout_value", "Checkout value", "money", decimals=2, good="up", lag_days=28),
    _sum("registrations", "Registrations", "count", good="up", lag_days=28),
    _sum("registration_value", "Registration value", "money", decimals=2, good="up", lag_days=28),
)  # fmt: skip

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _ALL}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


#: The brief's and Meta's own names (of insights fields, action types and rule filters), so that old rules and reports
#: load unchanged. The brief writes every name in camelCase.
ALIASES: Final[Mapping[str, str]] = {
    **{_camel(name): name for name in METRICS if "_" in name},
    "spent": "spend",
    "link_click": "link_clicks",
    "outbound_click": "outbound_clicks",
    "landing_page_view": "landing_page_views",
    "cost_per_landing_page_views": "cost_per_landing_page_view",
    "post_engagement": "engagements",
    "video_view": "video_views",
    "video_play": "video_plays",
    "videoViewRate": "view_rate",
    "costPerVideoView": "cost_per_view",
    "purchase": "purchases",
    "omni_purchase": "purchases",
    "offsite_conversion.fb_pixel_purchase": "purchases",
    "lead": "leads",
    "leadgen": "leads",
    "offsite_conversion.fb_pixel_lead": "leads",
    "add_to_cart": "add_to_carts",
    "omni_add_to_cart": "add_to_carts",
    "initiate_checkout": "checkouts",
    "omni_initiated_checkout": "checkouts",
    "complete_registration": "registrations",
    "omni_complete_registration": "registrations",
    "cost_per_purchase_fb": "cost_per_purchase",
    "cost_per_lead_fb": "cost_per_lead",
    "website_purchase_roas": "purchase_roas",
    "engagement_ranking": "engagement_rate_ranking",
    "engagementRanking": "engagement_rate_ranking",
    "conversion_ranking": "conversion_rate_ranking",
    "conversionRanking": "conversion_rate_ranking",
    "inline_link_clicks": "link_clicks",
    "inline_link_click_ctr": "link_ctr",
    "cost_per_inline_link_click": "cost_per_link_click",
    "amount_spent": "spend",
    "cost": "spend",
    "cost_per_conversion": "cpa",
    "cost_per_result": "cpa",
    "results": "conversions",
    "costPerConversion": "cpa",
    "hook_rate": "view_rate",
    "hookRate": "view_rate",
    "video_view_rate": "view_rate",
    "cost_per_video_view": "cost_per_view",
    "conversion_value_cost_ratio": "roas",
    "conversionValueCostRatio": "roas",
    "outbound_clicks_ctr": "outbound_ctr",
    "video_play_actions": "video_plays",
    "video_p25_watched_actions": "video_p25",
    "video_p50_watched_actions": "video_p50",
    "video_p75_watched_actions": "video_p75",
    "video_p100_watched_actions": "video_p100",
    "video_thruplay_watched_actions": "thruplays",
    "inline_post_engagement": "engagements",
    "cost_per_thousand_people": "cpp",
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


def with_terms(bases: Bases, terms: Terms) -> dict[str, Decimal | None]:
    """The bases with `conversions`, `conversion_value` and `profit` as the client's terms make them.

    An action that is not measured gives None for all three: unknown, not 0. A result without a value of its own
    (a link click) has an unknown value, and so an unknown profit. All three are sums: they add up as their bases do.
    """
    base = RESULTS.get(terms.result_action)
    value = bases.get(VALUES.get(base, "")) if base else None
    return {
        **bases,
        "conversions": bases.get(base) if base else None,
        "conversion_value": value,
        "profit": _profit(value, bases.get("spend"), terms),
    }


def _profit(value: Decimal | None, spend: Decimal | None, terms: Terms) -> Decimal | None:
    if value is None or spend is None or terms.goods_cost is None or terms.fee is None:
        return None
    return value * (100 - terms.goods_cost) / 100 - spend * (100 + terms.fee) / 100


def measured(bases: Iterable[str], terms: Terms) -> frozenset[str]:
    """The additive columns (and reach) that stand behind these bases under these terms."""
    asked = set(bases)
    result = RESULTS.get(terms.result_action, "")
    if "conversions" in asked:
        asked.add(result)
    if not {"conversion_value", "profit"}.isdisjoint(asked):
        asked.add(VALUES.get(result, ""))
    if "profit" in asked:
        asked.add("spend")
    return frozenset(asked & {*ADDITIVE, "reach"})


def rank(word: str) -> Decimal | None:
    """The class as a place in the order, 1 the worst; None for UNKNOWN and for words that nobody knows."""
    places = {name: Decimal(place) for place, name in enumerate(RANKS, 1)}
    return places.get(word)


def ranked(value: Decimal | None) -> str | None:
    """Meta's word for a place in the order."""
    return None if value is None else list(RANKS)[int(value) - 1]


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
