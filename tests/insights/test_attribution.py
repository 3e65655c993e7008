"""A number's window is a part of what it is: asked for by Meta's names, said in every answer, refused where unknown."""

import json
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

import insights.questions as questions
from insights.analytics import series, table, totals, windows
from insights.attribution import ATTRIBUTED, CHOICES, DEFAULT, FETCHED, chosen, credited
from insights.errors import UnknownAttribution
from insights.metrics import FAMILIES, METRICS, VALUES
from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.insights.conftest import NOW, TODAY, row

YESTERDAY = TODAY - DAY


def listed(kind, **windows):
    return {"action_type": kind, **{name.lstrip("_"): str(value) for name, value in windows.items()}}


@pytest.fixture
def bought(ad_account):
    """Two ads: purchases in several windows; the second one's family is known by another type."""
    one = row(
        object_id="30",
        day=YESTERDAY,
        spend="40.00",
        impressions="900",
        clicks="10",
        actions=[
            listed("omni_purchase", value=7, _1d_click=4, _7d_click=6, _1d_view=1),
            listed("offsite_conversion.fb_pixel_purchase", value=7, _1d_click=4, _7d_click=6, _1d_view=1),
        ],
        action_values=[
            listed("omni_purchase", value="412.55", _1d_click="200.05", _7d_click="400.55", _1d_view="12")
        ],
    )
    two = row(
        object_id="31",
        day=YESTERDAY,
        spend="10.00",
        impressions="100",
        actions=[listed("purchase", value=3, _7d_click="2.5", _1d_view="0.5"), listed("lead", value=2)],
    )
    upsert(ad_account=ad_account, rows=[one, two], slices=[Read("day", "ad", YESTERDAY)], now=NOW)
    return ad_account


def test_what_can_be_asked_for_is_what_is_read():
    assert (DEFAULT, *FETCHED) == questions.ATTRIBUTION
    assert {key for keys in CHOICES.values() for key in keys} == set(FETCHED)


@pytest.mark.parametrize(
    "text, name",
    [
        ("default", "default"),
        ("7d_click", "7d_click"),
        ("1d_view,7d_click", "7d_click_1d_view"),
        ("7d_click_1d_view", "7d_click_1d_view"),
        ("1d_click, 1d_view", "1d_click_1d_view"),
    ],
)
def test_a_window_has_one_name_however_it_is_written(text, name):
    assert chosen(text) == name


@pytest.mark.parametrize(
    "text, why",
    [
        ("28d_view", "since January 2026"),
        ("7d_view", "since January 2026"),
        ("7d_click,7d_view", "since January 2026"),
        ("1d_click,7d_click", "not added"),
        ("28d_click", "not read"),
        ("1d_ev", "not read"),
        ("dda", "not read"),
        ("", "not read"),
        ("7d_click_", "not read"),
        ("7D_CLICK", "not read"),
        ("7d_click;drop", "not read"),
    ],
)
def test_any_other_is_refused_with_the_reason_and_those_there_are(text, why):
    with pytest.raises(UnknownAttribution, match=why) as caught:
        chosen(text)
    assert caught.value.allowed == tuple(CHOICES)


numbers = st.decimals(0, 10**6, places=2)
lists = st.dictionaries(
    st.sampled_from([kind for kinds in FAMILIES.values() for kind in kinds] + ["comment", "omni_custom"]),
    st.dictionaries(st.sampled_from(["value", *FETCHED]), numbers.map(str)),
)


@given(counts=lists, amounts=lists, window=st.sampled_from([name for name in CHOICES if name != DEFAULT]))
def test_one_type_of_a_family_counts_and_the_others_are_never_added(counts, amounts, window):
    found = credited({"actions": counts, "action_values": amounts}, window=window)
    assert found.keys() <= ATTRIBUTED
    for column, kinds in FAMILIES.items():
        present = [kind for kind in kinds if kind in counts or kind in amounts]
        if column not in ATTRIBUTED or not present:
            assert column not in found
            continue
        first = present[0]
        assert found[column] == sum(D(counts.get(first, {}).get(key, 0)) for key in CHOICES[window])
        if column in VALUES:
            assert found[VALUES[column]] == sum(
                D(amounts.get(first, {}).get(key, 0)) for key in CHOICES[window]
            )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "window, purchases, value",
    [
        ("default", D(10), D("412.55")),
        ("1d_click", D(4), D("200.05")),
        ("7d_click", D("8.5"), D("400.55")),
        ("1d_view", D("1.5"), D("12")),
        ("7d_click_1d_view", D(10), D("412.55")),
        ("1d_click_1d_view", D("5.5"), D("212.05")),
    ],
)
def test_totals_tables_series_and_windows_answer_for_the_window_and_say_so(bought, window, purchases, value):
    names = (
        "spend",
        "impressions",
        "clicks",
        "purchases",
        "purchase_value",
        "conversions",
        "cpa",
        "roas",
        "ctr",
    )
    asked = {"metrics": names, "now": NOW, "attribution": window}
    whole = totals(bought, since=YESTERDAY, until=YESTERDAY, **asked)
    assert whole.header.attribution == window
    assert (whole.values["purchases"], whole.values["purchase_value"]) == (purchases, value)
    assert whole.values["conversions"] == purchases
    assert (whole.values["cpa"], whole.values["roas"]) == (D(50) / purchases, value / 50)
    assert (whole.values["spend"], whole.values["clicks"], whole.values["ctr"]) == (50, 10, 1)
    for level in ("campaign", "adset", "ad"):
        found = table(bought, level=level, since=YESTERDAY, until=YESTERDAY, **asked)
        assert found.header.attribution == window
        assert sum(one.values["purchases"] for one in found.rows) == purchases
        kept = windows(bought, level=level, now=NOW, days=1, attribution=window)
        assert kept.header.attribution == window
        assert sum(kept.columns["purchases"].values()) == purchases
        assert sum(kept.columns["spend"].values()) == 50
    days = series(bought, level="account", since=YESTERDAY - DAY, until=YESTERDAY, **asked)
    assert days.header.attribution == window
    assert days.points[1].values["purchases"] == purchases


@pytest.mark.django_db
def test_an_object_without_rows_has_0_in_every_window_and_an_unread_day_none(bought):
    asked = {"metrics": ("purchases",), "now": NOW, "attribution": "1d_click", "level": "ad"}
    none = table(bought, since=YESTERDAY, until=YESTERDAY, object_ids=["99"], **asked)
    assert none.rows[0].values == {"purchases": 0}
    unread = table(bought, since=YESTERDAY - 9 * DAY, until=YESTERDAY - 9 * DAY, object_ids=["30"], **asked)
    assert unread.rows[0].values == {"purchases": None}


@pytest.mark.django_db
def test_a_repeated_question_reads_no_fact_and_another_window_is_another_question(
    bought,
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def ask(window):
        with CaptureQueriesContext(
            connection,
        ) as seen:
            found = totals(
                bought, since=YESTERDAY, until=YESTERDAY, metrics=("purchases",), now=NOW, attribution=window
            ).values["purchases"]
        facts = [one for one in seen.captured_queries if "dayrow" in one["sql"] or "accountday" in one["sql"]]
        return found, len(facts)

    assert ask("1d_click")[1] > 0
    assert ask("1d_click") == (4, 0)
    assert ask("7d_click")[1] > 0


@pytest.mark.django_db
def test_the_api_takes_a_window_says_it_and_refuses_others(bought, client, agency, clock):
    client.force_login(agency.users.bob)

    def get(path, status=200, **query):
        answer = client.get(f"/api/meta/{path}/{bought.act_id}", {"date_preset": "yesterday", **query})
        assert answer.status_code == status, answer.content
        return json.loads(answer.content, parse_float=D, parse_int=D)

    plain = get("performance")
    assert (plain["attribution"], plain["conversions"]) == ("default", 10)
    found = get("performance", attribution="1d_view,1d_click")
    assert (found["attribution"], found["conversions"]) == ("1d_click_1d_view", D("5.5"))
    rows = get("insights", attribution="7d_click", level="ad", metrics="purchases")
    assert rows["attribution"] == "7d_click"
    assert [one["purchases"] for one in rows["insights"]] == [6, D("2.5")]
    days = get("insights", attribution="7d_click", metrics="purchases", time_increment="1")
    assert [one["purchases"] for one in days["insights"]] == [D("8.5")]
    for wrong in ("28d_view", "1d_click,7d_click", "x" * 5000, "\x00"):
        for path in ("performance", "insights", "campaigns"):
            body = get(path, status=400, attribution=wrong)
            assert body["errors"][0]["field"] == "attribution" and "7d_click_1d_view" in json.dumps(
                body, default=str
            )


@pytest.mark.django_db
def test_own_metrics_follow_the_window(bought, agency):
    import insights.formulas as formulas

    formulas.save(
        client=agency.northwind,
        principal=agency.principals.bob,
        user=agency.users.bob,
        name="worth",
        label="Worth",
        expression="purchase_value / purchases",
        now=NOW,
    )
    asked = {"since": YESTERDAY, "until": YESTERDAY, "metrics": ("my.worth",), "now": NOW}
    assert totals(bought, **asked).values["my.worth"] == D("412.55") / 10
    assert totals(bought, **asked, attribution="1d_click").values["my.worth"] == D("200.05") / 4


def test_what_is_called_attributed_is_what_a_window_changes():
    for name, one in METRICS.items():
        assert one.attributed == (not ATTRIBUTED.isdisjoint(one.bases) or one.of_result), name
