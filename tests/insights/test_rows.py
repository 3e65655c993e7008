"""Meta's strings become numbers once, exactly; what cannot be read is refused, never guessed."""

import copy
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights.errors import BadRow
from insights.metrics import ADDITIVE
from insights.rows import read
from metaads.gateway import client, plugged
from metaads.graph.fields import INSIGHTS
from metaads.sandbox.app import Sandbox
from tests.door import WSGIAdapter
from tests.insights.conftest import TODAY, row, wire


def values(one):
    return dict(zip(ADDITIVE, one.values, strict=True))


def test_the_reference_row_reads_as_it_says():
    one = row(
        spend="128.47",
        impressions="18342",
        clicks="402",
        inline_link_clicks="311",
        reach="15210",
        actions=[
            {"action_type": "link_click", "value": "311"},
            {"action_type": "omni_purchase", "value": "7", "7d_click": "6", "1d_view": "1"},
            {
                "action_type": "offsite_conversion.fb_pixel_purchase",
                "value": "7",
                "7d_click": "6",
                "1d_view": "1",
            },
        ],
        action_values=[{"action_type": "omni_purchase", "value": "412.5"}],
        outbound_clicks=[{"action_type": "outbound_click", "value": "298"}],
    )
    found = values(one)
    assert (found["spend"], found["impressions"], found["link_clicks"]) == (128_470_000, 18342, 311)
    assert (found["purchases"], found["purchase_value"]) == (
        7_000_000,
        412_500_000,
    )  # one of the family, never added
    assert found["outbound_clicks"] == 298_000_000
    assert found["leads"] == 0
    assert one.reach == 15210
    assert '"7d_click":"6"' in one.actions


def test_numbers_may_come_bare_or_as_strings():
    assert row(spend="1.5", impressions="2") == read({**wire(), "spend": 1.5, "impressions": 2}, level="ad")


def test_what_was_asked_for_and_left_out_is_zero_and_hourly_reach_is_unknown():
    assert set(row().values) == {0}
    assert row().reach == 0
    hourly = read(
        {**wire(), "hourly_stats_aggregated_by_advertiser_time_zone": "23:00:00 - 23:59:59", "reach": "0"},
        level="ad",
    )
    assert (hourly.hour, hourly.reach) == (23, None)


@pytest.mark.parametrize(
    "broken",
    [
        {"spend": "NaN"},
        {"impressions": "-1"},
        {"spend": "1e30"},
        {"impressions": "1.5"},
        {"impressions": "many"},
        {"impressions": True},
        {"ad_id": "30; drop"},
        {"ad_id": None},
        {"date_start": "yesterday"},
        {"date_stop": "2026-12-31"},
        {"actions": "none"},
        {"actions": [{"value": "1"}]},
        {"hourly_stats_aggregated_by_advertiser_time_zone": "25:00:00"},
        {"actions": [{"action_type": "a\x00b", "value": "1"}]},
    ],
)
def test_a_row_that_cannot_be_what_it_says_is_refused(broken):
    with pytest.raises(BadRow):
        read({**wire(), **broken}, level="ad")


def test_an_amount_with_more_digits_than_we_keep_is_rounded_half_up():
    assert values(row(spend="0.0000005"))["spend"] == 1


def test_money_that_was_credited_back_is_below_nothing():
    assert values(row(spend="-1.25"))["spend"] == -1_250_000


def test_keys_tell_rows_apart():
    assert row(object_id="30").key != row(object_id="31").key
    assert row().key == row(spend="5", day=TODAY).key


def test_the_steps_of_a_video_are_read_each_from_its_own_list():
    listed = {
        "video_play_actions": "100",
        "video_p25_watched_actions": "45",
        "video_p50_watched_actions": "28",
        "video_p75_watched_actions": "17",
        "video_p100_watched_actions": "7",
        "video_thruplay_watched_actions": "19",
    }
    raw = {
        **wire("ad", "1", TODAY),
        **{name: [{"action_type": "video_view", "value": value}] for name, value in listed.items()},
        "actions": [{"action_type": "video_view", "value": "80"}],
    }
    found = values(read(raw, level="ad"))
    names = ("video_plays", "video_p25", "video_p50", "video_p75", "video_p100", "thruplays", "video_views")
    assert [found[name] // 1_000_000 for name in names] == [100, 45, 28, 17, 7, 19, 80]


@pytest.mark.django_db
def test_a_world_with_video_ads_answers_every_step_and_they_shrink(clock):
    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        reads = client(token=box.token("alice"), ad_account=None, use="insights")
        accounts = [one["account_id"] for one in reads.edge("me", "adaccounts", fields=("account_id",))]
        day = clock.now().date() - timedelta(days=3)
        pages = [
            page
            for account in accounts
            for page in reads.insights(
                f"act_{account}",
                level="ad",
                since=day,
                until=day,
                fields=INSIGHTS,
                windows=("7d_click", "1d_view"),
            )
        ]
    rows = [values(read(raw, level="ad")) for page in pages for raw in page]
    videos = [one for one in rows if one["video_plays"]]
    assert videos
    for one in videos:
        steps = [one[name] for name in ("video_plays", "video_p25", "video_p50", "video_p75", "video_p100")]
        assert steps == sorted(steps, reverse=True)
        assert 0 < one["video_views"] <= one["impressions"] * 1_000_000


@given(
    st.one_of(
        st.decimals(min_value=0, max_value=10**11, places=8).map(str),
        st.from_regex(r"[0-9]{0,13}\.?[0-9]{0,7}", fullmatch=True),
        st.integers(0, 10**12).map(str),
    )
)
@settings(derandomize=True, max_examples=300)
def test_every_amount_is_the_decimal_that_it_says(text):
    try:
        number = Decimal(text)
    except InvalidOperation:
        with pytest.raises(BadRow):
            row(spend=text)
        return
    if number * 1_000_000 >= 2**63:
        with pytest.raises(BadRow):
            row(spend=text)
        return
    wanted = (number * 1_000_000).to_integral_value(ROUND_HALF_UP)
    assert values(row(spend=text))["spend"] == wanted


def test_of_a_family_the_first_type_counts_in_whatever_order_meta_lists_them():
    listed = [
        {"action_type": "offsite_conversion.fb_pixel_purchase", "value": "9"},
        {"action_type": "purchase", "value": "8"},
        {"action_type": "omni_purchase", "value": "7"},
    ]
    worth = [{"action_type": "purchase", "value": "80"}, {"action_type": "omni_purchase", "value": "70"}]
    for actions in (listed, listed[::-1]):
        found = values(row(actions=actions, action_values=worth))
        assert (found["purchases"], found["purchase_value"]) == (7_000_000, 70_000_000)
    only_worth = values(row(action_values=worth[:1]))
    assert (only_worth["purchases"], only_worth["purchase_value"]) == (0, 80_000_000)


@pytest.mark.fault("F37")
@pytest.mark.parametrize("odd", ["NaN", "many", "1e30", "Infinity", ""])
@pytest.mark.parametrize("window", ["1d_click", "7d_click", "1d_view", "value"])
@pytest.mark.parametrize("list_name", ["actions", "action_values"])
def test_a_window_that_holds_no_number_is_refused_whichever_is_shown(odd, window, list_name):
    item = {"action_type": "omni_purchase", "value": "7", "7d_click": "6", window: odd}
    with pytest.raises(BadRow):
        row(**{list_name: [item]})


@pytest.mark.fault("F38")
def test_people_who_were_shown_something_are_unknown_and_not_none_where_meta_leaves_them_out():
    assert row(impressions="5000").reach is None
    assert row(impressions="5000", reach="4000").reach == 4000
    assert row(impressions="0").reach == 0


def test_the_page_stays_as_it_came():
    raw = {**wire(), "actions": [{"action_type": "lead", "value": "1"}]}
    before = copy.deepcopy(raw)
    read(raw, level="ad")
    assert raw == before
