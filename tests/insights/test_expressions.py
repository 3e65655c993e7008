"""A client's own metric is computed like the registry's, and nonsense is refused before it is saved."""

import contextlib
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.errors import BadFormula
from insights.expressions import LONGEST, parse
from insights.metrics import ADDITIVE, METRICS, evaluate

SUMS = {name: D(index * 10 + 10) for index, name in enumerate(ADDITIVE)} | {
    "reach": D(50),
    "conversions": D(7),
    "conversion_value": D(70),
    "profit": D(5),
}

GOOD = {
    "spend / purchases": ("money", False, "money per results"),
    "spend * 1.19": ("money", True, "money"),
    "conversion_value - spend": ("money", True, "money"),
    "(conversion_value - spend) / spend": ("ratio", False, "a plain number"),
    "clicks - link_clicks": ("count", True, "clicks"),
    "video_p100 / video_plays * 100": ("ratio", False, "a plain number"),
    "purchases / link_clicks": ("ratio", False, "results per clicks"),
    "leads / purchases": ("ratio", False, "a plain number"),
    "spend / (impressions / 1000)": ("money", False, "money per impressions"),
    "cpa * 1.19": ("money", False, "money per results"),
    "roas - 1": ("ratio", False, "a plain number"),
    "-spend": ("money", True, "money"),
    "add_to_carts / landing_page_views": ("ratio", False, "results per clicks"),
    "cpm / 1000": ("money", False, "money per impressions"),
    "inline_link_clicks / impressions": ("ratio", False, "clicks per impressions"),
    "2 * (spend + purchase_value) / 2": ("money", True, "money"),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_sound_formula_is_taken_with_its_unit_and_whether_it_adds_up(text):
    formula = parse(text)
    assert (formula.unit, formula.summable, formula.kind) == GOOD[text]


WRONG = {
    "different things": [
        "spend + clicks", "clicks + impressions", "spend - impressions", "cpc + ctr", "cpc + spend", "cpm - cpc",
        "reach + impressions", "engagements + clicks", "purchases + clicks", "roas_x", "spend + purchases",
        "video_plays + clicks", "conversion_value + conversions", "cpa + cpc", "frequency + reach", "cpp + cpm",
        "spend / clicks + spend / impressions", "clicks / impressions + purchases / impressions",
    ],
    "plain number": [
        "spend + 5", "5 + spend", "clicks - 1", "cpc + 0.1", "impressions + 1000", "1 - spend", "purchases + 1",
    ],
    "different results": [
        "purchases + leads", "leads - registrations", "purchase_value + lead_value", "add_to_carts + checkouts",
        "conversions + purchases", "conversion_value + purchase_value", "spend / purchases + spend / leads",
        "purchases + leads + registrations", "2 * purchases + 3 * leads", "purchase_value - lead_value",
        "purchases / clicks - leads / clicks",
    ],
    "overlap": [
        "clicks + link_clicks", "link_clicks + outbound_clicks", "video_p25 + video_p50", "video_plays + video_views",
        "thruplays + video_views", "clicks + landing_page_views", "2 * link_clicks + outbound_clicks",
        "clicks * 1 + link_clicks", "clicks / 2 + link_clicks / 3", "ctr + link_ctr", "link_clicks - -clicks",
        "clicks - -1 * link_clicks", "-clicks - link_clicks", "clicks / impressions + link_clicks / impressions",
    ],
    "order of classes": ["quality_ranking", "quality_ranking + 1", "engagement_rate_ranking / spend"],
    "nobody can read": ["spend * spend", "clicks * clicks", "1 / (spend * spend)", "reach * reach / clicks"],
    "no metric": ["sped / clicks", "revenue", "costs", "omni", "clicks / imps"],
    "may stand": [
        "spend ** 2", "spend % 2", "spend // 2", "max(spend, 1)", "spend if clicks else 0", "spend > 1", "[spend]",
        "spend.real", "lambda: spend", "spend and clicks", "not spend", "~clicks", "{1: spend}",
    ],
    "stand in": ["'spend'", "True", "1j", "None", "..."],
    "not a formula": ["", "spend /", "(spend", "spend clicks", "spend;clicks", "= spend", "spend, (", "\x00"],
    "at least one metric": ["1", "2 * 3", "1 / 2"],
    "divided by 0": ["spend / 0", "clicks / 0.0"],
}  # fmt: skip


@pytest.mark.parametrize("text, why", [(text, why) for why, texts in WRONG.items() for text in texts])
def test_nonsense_is_refused_with_its_reason(text, why):
    with pytest.raises(BadFormula) as caught:
        parse(text)
    if why == "different things" and text == "roas_x":
        why = "no metric"
    assert why in f"{caught.value.message} {caught.value.advice}"


def test_there_are_more_than_sixty_wrong_ones():
    assert sum(map(len, WRONG.values())) > 60


@pytest.mark.parametrize(
    "text", ["spend * 1e999", "spend / 1e400", "1e13 * spend", "spend * (2 - 1e999)", "-1e999 * spend"]
)
def test_a_number_without_end_is_refused(text):
    with pytest.raises(BadFormula, match="at most 1,000,000,000,000"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["clicks - link_clicks", "2 * clicks - 2 * link_clicks", "ctr - link_ctr", "-link_clicks + clicks"],
)
def test_a_part_may_be_taken_from_its_whole(text):
    assert parse(text).metrics


def test_endless_and_bottomless_formulas_are_refused_and_do_not_crash():
    for text in (
        "spend + " * 50 + "spend",
        "(" * 90 + "spend" + ")" * 90,
        "-" * 200 + "spend",
        "9" * 250 + "*spend",
    ):
        try:
            parse(text)
        except BadFormula:
            continue
        assert len(text) <= LONGEST
    with pytest.raises(BadFormula, match="at most"):
        parse("spend" + " " * LONGEST + "+ spend")


@pytest.mark.parametrize("name", [name for name, one in METRICS.items() if one.unit != "rank"])
def test_a_metric_alone_is_what_the_registry_says(name):
    formula = parse(name)
    assert formula.evaluate(SUMS) == evaluate(name, SUMS)
    assert (formula.summable, formula.hourly, formula.private) == (
        METRICS[name].summable, METRICS[name].hourly, METRICS[name].private,
    )  # fmt: skip
    assert formula.bases == frozenset(METRICS[name].bases)


def test_unknown_and_nothing_stay_unknown():
    assert parse("spend / purchases").evaluate({"spend": D(10), "purchases": D(0)}) is None
    assert parse("spend / purchases").evaluate({"spend": D(10), "purchases": None}) is None
    assert parse("spend - profit").evaluate({"spend": D(10), "profit": None}) is None
    assert (
        parse("1000 * spend / impressions").evaluate({"spend": D("0.1"), "impressions": D(3)}) == D(100) / 3
    )


numbers = st.fixed_dictionaries({name: st.integers(0, 10**6).map(D) for name in SUMS})


@given(
    a=numbers, b=numbers, text=st.sampled_from([text for text, (_, summable, _) in GOOD.items() if summable])
)
def test_what_is_called_summable_adds_up(a, b, text):
    formula = parse(text)
    both = {name: a[name] + b[name] for name in a}
    assert abs(formula.evaluate(both) - formula.evaluate(a) - formula.evaluate(b)) < D("1e-15")


@given(text=st.text(alphabet="spend clicks+-*/()0123456789._,'\"[]", max_size=60))
def test_whatever_is_typed_is_a_formula_or_refused(text):
    with contextlib.suppress(BadFormula):
        parse(text).evaluate(SUMS)
