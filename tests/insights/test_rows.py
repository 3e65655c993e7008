"""Meta's strings become numbers once, exactly; what cannot be read is refused, never guessed."""

import pytest

from insights.errors import BadRow
from insights.metrics import ADDITIVE
from insights.rows import read
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
        {"spend": "-1"},
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


def test_keys_tell_rows_apart():
    assert row(object_id="30").key != row(object_id="31").key
    assert row().key == row(spend="5", day=TODAY).key
