"""Sum first, divide last; unknown stays unknown; every number of the registry can be explained."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.errors import UnknownMetric
from insights.metrics import (
    ADDITIVE,
    ALIASES,
    FAMILIES,
    METRICS,
    RANKINGS,
    RANKS,
    RESULTS,
    TERMS,
    Terms,
    evaluate,
    measured,
    named,
    needed,
    rank,
    ranked,
    rounded,
    with_terms,
)

whole = st.integers(0, 10**9).map(D)
money = st.integers(0, 10**14).map(lambda cents: D(cents) / 100)
sums = st.fixed_dictionaries({name: money if kind == "money" else whole for name, kind in ADDITIVE.items()})


def test_every_formula_stands_on_a_base_that_rows_have():
    known = {*ADDITIVE, "reach", *TERMS, *RANKINGS}
    for metric in METRICS.values():
        assert set(metric.bases) <= known, metric.name


def test_aliases_and_results_lead_somewhere():
    assert all(target in METRICS for target in ALIASES.values())
    assert set(RESULTS.values()) <= set(ADDITIVE)
    assert all(column in ADDITIVE for column in FAMILIES)


@given(a=sums, b=sums)
def test_ratios_of_sums_lie_between_the_ratios_of_the_parts(a, b):
    both = {name: a[name] + b[name] for name in a}
    for name in ("ctr", "cpc", "cpm", "link_ctr", "cost_per_link_click"):
        parts = [value for value in (evaluate(name, a), evaluate(name, b)) if value is not None]
        total = evaluate(name, both)
        if len(parts) == 2:
            assert min(parts) - D("1e-15") * max(parts) <= total <= max(parts) * (1 + D("1e-15"))


@given(a=sums, b=sums)
def test_only_summable_metrics_add_up(a, b):
    both = {name: a[name] + b[name] for name in a}
    for metric in METRICS.values():
        if metric.summable and metric.top in a:
            assert evaluate(metric.name, both) == evaluate(metric.name, a) + evaluate(metric.name, b)


@pytest.mark.fault("F59")
def test_a_ratio_over_nothing_or_over_the_unknown_is_unknown():
    assert evaluate("ctr", {"clicks": D(0), "impressions": D(0)}) is None
    assert evaluate("ctr", {"clicks": D(3), "impressions": None}) is None
    assert evaluate("cpc", {"spend": None, "clicks": D(3)}) is None
    assert evaluate("frequency", {"impressions": D(100), "reach": None}) is None
    assert evaluate("cpa", {"spend": D(10)}) is None


@pytest.mark.fault("F59")
@given(
    st.fixed_dictionaries(
        {
            name: st.none() | st.just(D(0)) | (money if kind == "money" else whole)
            for name, kind in ADDITIVE.items()
        }
    )
)
def test_whatever_is_missing_or_nothing_no_metric_is_endless_and_no_share_of_nothing_is_zero(row):
    for metric in METRICS.values():
        value = evaluate(metric.name, row)
        assert value is None or value.is_finite()
        if metric.over and not row.get(metric.over):
            assert value is None, metric.name


def test_ctr_is_in_percent_as_meta_reports_it():
    assert evaluate("ctr", {"clicks": D(402), "impressions": D(18342)}).quantize(D("0.000001")) == D(
        "2.191691"
    )


def test_meta_s_own_example_row_is_recomputed():
    row = {"impressions": D(18342), "reach": D(15210), "clicks": D(402), "spend": D("128.47")}
    six = D("0.000001")
    assert evaluate("frequency", row).quantize(six) == D("1.205917")
    assert evaluate("cpc", row).quantize(six) == D("0.319577")
    # Meta divides its unrounded spend, so the last digit of a ratio over cents may differ by one.
    assert abs(evaluate("cpm", row) - D("7.004144")) <= six


def test_the_client_s_result_is_chosen_at_read_time():
    row = {
        "purchases": D(7),
        "purchase_value": D("412.5"),
        "leads": D(3),
        "lead_value": D(0),
        "link_clicks": D(40),
        "spend": D(21),
    }
    sales = with_terms(row, Terms("purchase"))
    assert (evaluate("conversions", sales), evaluate("cpa", sales)) == (7, 3)
    leads = with_terms(row, Terms("lead"))
    assert (evaluate("conversions", leads), evaluate("cpa", leads)) == (3, 7)
    assert evaluate("conversion_value", with_terms(row, Terms("link_click"))) is None


def test_a_result_that_is_not_measured_is_unknown_not_zero():
    odd = with_terms({"purchases": D(7), "spend": D(1)}, Terms("app_custom_event.other"))
    assert evaluate("conversions", odd) is None
    assert evaluate("roas", odd) is None


def test_profit_is_unknown_until_the_costs_are_known_and_is_never_revenue():
    row = {"purchases": D(7), "purchase_value": D(400), "spend": D(100)}
    for terms in (Terms("purchase"), Terms("purchase", goods_cost=D(40)), Terms("purchase", fee=D(10))):
        assert evaluate("profit", with_terms(row, terms)) is None
        assert evaluate("profit_margin", with_terms(row, terms)) is None
    known = with_terms(row, Terms("purchase", goods_cost=D(40), fee=D(10)))
    assert evaluate("profit", known) == 400 - 160 - 100 - 10
    assert evaluate("profit_margin", known) == D("32.5")
    loss = with_terms({**row, "purchase_value": D(0)}, Terms("purchase", goods_cost=D(40), fee=D(0)))
    assert (evaluate("profit", loss), evaluate("profit_margin", loss)) == (-100, None)
    clicks = with_terms({**row, "link_clicks": D(9)}, Terms("link_click", goods_cost=D(0), fee=D(0)))
    assert evaluate("profit", clicks) is None


@given(a=sums, b=sums)
def test_what_the_terms_make_adds_up_like_the_sums_it_is_made_of(a, b):
    terms = Terms("purchase", goods_cost=D("37.5"), fee=D(12))
    both = with_terms({name: a[name] + b[name] for name in a}, terms)
    for name in TERMS:
        assert both[name] == with_terms(a, terms)[name] + with_terms(b, terms)[name]


def test_the_columns_that_are_read_are_those_of_the_formulas_under_the_client_s_terms():
    assert measured(needed(["profit"]), Terms("lead")) == {"lead_value", "spend"}
    assert measured(needed(["cpa", "reach_efficiency"]), Terms("lead")) == {
        "spend",
        "leads",
        "reach",
        "impressions",
    }
    assert measured(["conversions", "conversion_value"], Terms("link_click")) == {"link_clicks"}
    assert measured(needed(["roas"]), Terms("app_custom_event.other")) == {"spend"}


def test_the_brief_s_own_metrics_are_all_there_under_its_names():
    names = (
        "spend impressions clicks ctr cpc cpm reach frequency reachEfficiency engagementRate profit profitMargin"
        " valuePerConversion conversionValueCostRatio videoViews viewRate costPerView conversions"
    )
    assert all(named(name) for name in names.split())
    assert named("hook_rate") is named("view_rate")
    for private in ("profit", "profit_margin"):
        assert METRICS[private].private
    assert {name for name, one in METRICS.items() if one.of_result} == {
        "conversions", "conversion_value", "conversion_rate", "cpa", "roas", "value_per_conversion", "profit",
        "profit_margin",
    }  # fmt: skip
    assert METRICS["purchases"].attributed
    assert not METRICS["ctr"].attributed


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(UnknownMetric) as caught:
        named("engagement_score")
    assert "ctr" in caught.value.allowed
    assert named("inline_link_clicks").name == "link_clicks"
    assert named("CTR").name == "ctr"


def test_hourly_numbers_are_only_those_that_meta_answers_by_the_hour():
    assert METRICS["ctr"].hourly
    assert not METRICS["reach"].hourly
    assert not METRICS["cpa"].hourly


@pytest.mark.parametrize(
    "value, text", [("2.1916909999", "2.191691"), ("1200", "1200"), ("0.10", "0.1"), ("0", "0")]
)
def test_rounding_keeps_six_decimals_and_no_exponent(value, text):
    assert f"{rounded(D(value))}" == text


#: What rules and reports of the brief and of Meta call them; one that goes missing breaks what somebody saved.
OLD = {
    "reachEfficiency": "reach_efficiency", "engagementRate": "engagement_rate", "profit": "profit",
    "profitMargin": "profit_margin", "valuePerConversion": "value_per_conversion",
    "conversionValueCostRatio": "roas", "conversion_value_cost_ratio": "roas", "videoViews": "video_views",
    "videoViewRate": "view_rate", "viewRate": "view_rate", "costPerView": "cost_per_view",
    "costPerVideoView": "cost_per_view", "qualityRanking": "quality_ranking",
    "engagementRanking": "engagement_rate_ranking", "conversionRanking": "conversion_rate_ranking",
    "engagementRateRanking": "engagement_rate_ranking", "conversionRateRanking": "conversion_rate_ranking",
    "hookRate": "view_rate", "holdRate": "hold_rate", "outboundCtr": "outbound_ctr", "linkCtr": "link_ctr",
    "landingPageViewRate": "landing_page_view_rate", "costPerLinkClick": "cost_per_link_click",
    "costPerConversion": "cpa", "conversionRate": "conversion_rate", "CTR": "ctr", "CPC": "cpc", "CPM": "cpm",
    "spend": "spend", "spent": "spend", "inline_link_clicks": "link_clicks",
    "inline_link_click_ctr": "link_ctr", "cost_per_inline_link_click": "cost_per_link_click",
    "inline_post_engagement": "engagements", "post_engagement": "engagements", "link_click": "link_clicks",
    "outbound_clicks_ctr": "outbound_ctr", "video_play_actions": "video_plays",
    "video_p25_watched_actions": "video_p25", "video_p50_watched_actions": "video_p50",
    "video_p75_watched_actions": "video_p75", "video_p100_watched_actions": "video_p100",
    "video_thruplay_watched_actions": "thruplays", "video_view": "video_views", "results": "conversions",
    "cost_per_result": "cpa", "purchase_roas": "purchase_roas", "website_purchase_roas": "purchase_roas",
    "omni_purchase": "purchases", "leadgen": "leads", "cost_per_lead_fb": "cost_per_lead", "cpp": "cpp",
    "quality_ranking": "quality_ranking", "engagement_rate_ranking": "engagement_rate_ranking",
}  # fmt: skip


@pytest.mark.parametrize("old", OLD)
def test_an_old_name_still_means_what_it_meant(old):
    assert named(old).name == OLD[old]


def test_an_old_name_never_hides_a_metric():
    assert not set(ALIASES) & set(METRICS)


def test_every_metric_says_what_it_is_everywhere_it_is_read():
    for one in METRICS.values():
        assert one.label and one.formula and one.levels and one.lag_days in (2, 28)
        assert bool(one.not_added) != one.summable
        assert one.lag_days == 28 or not (one.of_result or one.attributed), "late conversions move it"
        assert one.unit != "money" or one.decimals >= 2 or one.name in ("cpp",)


def test_rankings_are_an_order_of_ads_and_nothing_is_computed_with_them():
    for name in RANKINGS:
        one = METRICS[name]
        assert (one.unit, one.levels, one.summable, one.hourly, one.attributed) == (
            "rank",
            ("ad",),
            False,
            False,
            False,
        )
    places = [rank(word) for word in RANKS]
    assert places == sorted(places) and [ranked(place) for place in places] == list(RANKS)
    assert rank("UNKNOWN") is rank("A_WORD_OF_NEXT_YEAR") is None and ranked(None) is None
