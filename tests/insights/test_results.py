"""What counts as a conversion: the client's word, else an ad set's goal; different results never meet."""

import json
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.models import AdSet
from insights.analytics import as_known_at, series, table, totals, windows
from insights.metrics import METRICS, RESULTS
from insights.results import (
    ACTIONS,
    EVENTS,
    GOALS,
    MIXED,
    NOT_MEASURED,
    NOT_READ,
    OBJECTIVES,
    Goal,
    Result,
    of_client,
    of_goal,
    together,
)
from insights.windows import last

NAMES = (
    "spend",
    "purchases",
    "link_clicks",
    "conversions",
    "cpa",
    "roas",
    "conversion_value",
    "purchase_roas",
)
OF_RESULT = tuple(name for name, one in METRICS.items() if one.of_result)


@pytest.mark.parametrize(
    "goal, action",
    [
        (Goal("OFFSITE_CONVERSIONS", "PURCHASE"), "omni_purchase"),
        (Goal("OFFSITE_CONVERSIONS", "LEAD", "OUTCOME_SALES"), "lead"),
        (Goal("OFFSITE_CONVERSIONS", "ADD_TO_CART"), "omni_add_to_cart"),
        (Goal("OFFSITE_CONVERSIONS", "", "OUTCOME_SALES"), "omni_purchase"),
        (Goal("OFFSITE_CONVERSIONS", "", "OUTCOME_LEADS"), "lead"),
        (Goal("VALUE", "PURCHASE"), "omni_purchase"),
        (Goal("LEAD_GENERATION"), "lead"),
        (Goal("LINK_CLICKS", "", "OUTCOME_SALES"), "link_click"),
        (Goal("LANDING_PAGE_VIEWS"), "landing_page_view"),
        (Goal("POST_ENGAGEMENT"), "post_engagement"),
    ],
)
def test_an_ad_set_s_result_is_what_it_is_optimised_for(goal, action):
    assert of_goal(goal) == Result(action)


@pytest.mark.parametrize(
    "goal",
    [
        Goal("REACH"),
        Goal("OFFSITE_CONVERSIONS", "OTHER", "OUTCOME_SALES"),
        Goal("OFFSITE_CONVERSIONS", "", "OUTCOME_TRAFFIC"),
        Goal("A_GOAL_OF_NEXT_YEAR"),
        Goal(""),
    ],
)
def test_what_is_no_counted_action_has_no_result_and_says_so(goal):
    assert of_goal(goal) == Result("", NOT_MEASURED)


def test_every_row_of_the_tables_leads_to_a_column():
    assert {*GOALS.values(), *EVENTS.values(), *OBJECTIVES.values()} <= RESULTS.keys()
    assert set(ACTIONS) >= set(OBJECTIVES.values())
    assert all(of_client(action) == Result(action) for action in RESULTS)
    assert of_client("app_install") == Result("", NOT_MEASURED)
    assert of_goal(None) == Result("", NOT_READ)


@given(
    st.lists(st.sampled_from([Result("lead"), Result("link_click"), Result("", NOT_MEASURED)]), max_size=6)
)
def test_several_have_a_result_only_if_it_is_one(found):
    expected = Result("", "") if not found else found[0] if len(set(found)) == 1 else Result("", MIXED)
    assert together(found) == expected


@pytest.fixture
def free(synced):
    """The small account, whose client leaves the result to the ad sets: one campaign sells, one is after clicks."""
    synced.northwind.result_action = ""
    synced.northwind.save()
    synced.ad_account.refresh_from_db()
    assert set(AdSet.everything.values_list("optimization_goal", "conversion_event")) == {
        ("OFFSITE_CONVERSIONS", "PURCHASE"),
        ("LINK_CLICKS", ""),
    }
    return synced


@pytest.fixture
def week(free, clock):
    from insights.analytics import account_today

    period = last(7, account_today(free.ad_account, clock.now()))
    return {"since": period.since, "until": period.until, "now": clock.now()}


@pytest.mark.django_db
@pytest.mark.parametrize("level", ["campaign", "adset", "ad"])
def test_each_object_has_the_result_of_its_ad_sets(free, week, level):
    found = table(free.ad_account, level=level, metrics=NAMES, **week)
    actions = {row.result.action for row in found.rows}
    assert actions == {"omni_purchase", "link_click"}
    for row in found.rows:
        sells = row.result.action == "omni_purchase"
        count = row.values["purchases" if sells else "link_clicks"]
        assert row.values["conversions"] == count > 0
        assert row.values["cpa"] == row.values["spend"] / count
        assert (row.values["conversion_value"] is None) == (not sells)
        assert row.result.label == ("Purchases" if sells else "Link clicks")
        assert row.result.reason == ""


@pytest.mark.django_db
def test_a_total_over_different_results_is_unknown_with_the_reason_and_the_plain_metrics_stay(free, week):
    found = totals(free.ad_account, metrics=(*NAMES, *OF_RESULT), **week)
    assert found.result == Result("", MIXED)
    assert all(found.values[name] is None for name in OF_RESULT)
    assert (
        found.values["purchases"] > 0
        and found.values["link_clicks"] > 0
        and found.values["purchase_roas"] > 0
    )
    days = series(free.ad_account, level="account", metrics=NAMES, **week)
    assert days.result == Result("", MIXED)
    assert {point.values["conversions"] for point in days.points} == {None}


@pytest.mark.django_db
def test_rules_are_judged_on_each_object_s_own_result(free, week, clock):
    found = windows(free.ad_account, level="campaign", now=clock.now())
    for one in found.object_ids:
        column = "purchases" if found.results[one].action == "omni_purchase" else "link_clicks"
        assert found.columns["conversions"][one] == found.columns[column][one]
    account = windows(free.ad_account, level="account", now=clock.now())
    assert set(account.columns["conversions"].values()) == {None}
    assert set(account.results.values()) == {Result("", MIXED)}


@pytest.mark.django_db
def test_an_account_of_one_result_has_it_and_a_client_s_word_wins_over_goals(free, week):
    AdSet.everything.update(optimization_goal="VALUE", conversion_event="")
    assert totals(free.ad_account, metrics=NAMES, **week).result == Result("omni_purchase")
    free.northwind.result_action = "lead"
    free.northwind.save()
    free.ad_account.refresh_from_db()
    found = totals(free.ad_account, metrics=("conversions", "leads"), **week)
    assert found.result == Result("lead")
    assert found.values["conversions"] == found.values["leads"]


@pytest.mark.django_db
def test_an_ad_set_that_was_not_read_yet_leaves_the_result_unknown(free, week):
    from campaigns.models import Ad

    Ad.everything.all().delete()
    AdSet.everything.all().delete()
    found = table(free.ad_account, level="adset", metrics=NAMES, **week)
    assert {row.result for row in found.rows} == {Result("", NOT_READ)}
    assert {row.values["conversions"] for row in found.rows} == {None}


@pytest.mark.django_db
def test_an_ad_set_without_rows_in_the_period_does_not_mix_in(free, week):
    from insights.models import DayRow
    from insights.store.rollups import refresh_days

    campaign = AdSet.everything.get(optimization_goal="LINK_CLICKS").campaign.meta_id
    account = free.ad_account
    DayRow.everything.filter(campaign_id=campaign).delete()
    refresh_days(account_id=account.pk, days=set(last(28, week["until"])) | {week["until"]})
    found = totals(account, metrics=NAMES, **week)
    assert found.result == Result("omni_purchase")
    assert found.values["conversions"] == found.values["purchases"] > 0


@pytest.mark.django_db
def test_the_past_uses_the_same_results(free, week, clock):
    found = as_known_at(
        free.ad_account,
        at=clock.now(),
        level="campaign",
        since=week["since"],
        until=week["until"],
        metrics=NAMES,
    )
    for row in found.rows:
        column = "purchases" if row.result.action == "omni_purchase" else "link_clicks"
        assert row.values["conversions"] == row.values[column] > 0


@pytest.mark.django_db
def test_a_client_s_own_metric_over_conversions_follows_and_mixed_sums_are_refused_when_saved(free, week):
    import insights.formulas as formulas
    from accounts.errors import Invalid

    def save(name, expression):
        return formulas.save(
            client=free.northwind,
            principal=free.principals.bob,
            user=free.users.bob,
            name=name,
            label=name,
            expression=expression,
            now=week["now"],
        )

    assert save("per_result", "spend / conversions").formula.of_result
    rows = table(free.ad_account, level="campaign", metrics=("my.per_result", "cpa"), **week).rows
    assert all(row.values["my.per_result"] == row.values["cpa"] is not None for row in rows)
    assert totals(free.ad_account, metrics=("my.per_result",), **week).values == {"my.per_result": None}
    for wrong in (
        "purchases + link_clicks",
        "purchases + leads",
        "conversions + purchases",
        "cpa + cost_per_lead",
    ):
        with pytest.raises(Invalid):
            save("wrong", wrong)


@pytest.mark.django_db
def test_the_api_names_the_result_of_each_row_and_why_a_total_has_none(free, week, client):
    client.force_login(free.users.bob)

    def get(path):
        answer = client.get(f"/api/meta/{path}/{free.ad_account.act_id}")
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content, parse_float=D, parse_int=D)

    whole = get("performance")
    assert (whole["conversions"], whole["cpa"], whole["result_action"]) == (None, None, "")
    assert whole["result_reason"] == MIXED
    rows = get("campaigns")["campaigns"]
    assert {row["result_label"] for row in rows} == {"Purchases", "Link clicks"}
    assert all(row["conversions"] > 0 and row["result_reason"] == "" for row in rows)


@pytest.mark.django_db
def test_costs_of_different_results_are_not_ranked_against_each_other(free, week):
    from insights.rankings import rank

    found = rank(free.ad_account, level="campaign", metric="cpa", **week)
    assert len(found.entries) == 1
    assert [one.why for one in found.left_out] == [
        "Its result is Link clicks; ranked are those with Purchases."
    ]
    plain = rank(free.ad_account, level="campaign", metric="cpc", **week)
    assert (len(plain.entries), plain.left_out) == (2, ())
