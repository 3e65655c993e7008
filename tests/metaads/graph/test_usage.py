"""Four usage headers, read without ever failing, and how much they slow us down."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaads.graph import usage

BUC = {
    "123456789": [
        {"type": "ads_management", "call_count": 95, "total_cputime": 20, "total_time": 20,
         "estimated_time_to_regain_access": 0, "ads_api_access_tier": "development_access"},
        {"type": "ads_insights", "call_count": 12, "total_cputime": 97, "total_time": 4,
         "estimated_time_to_regain_access": 3, "ads_api_access_tier": "development_access"},
    ]
}  # fmt: skip


def test_every_entry_counts_and_the_fullest_wins() -> None:
    found = usage.parse(
        {
            "X-App-Usage": '{"call_count":28,"total_time":25,"total_cputime":25}',
            "X-Ad-Account-Usage": '{"acc_id_util_pct":9.67,"reset_time_duration":100,'
            '"ads_api_access_tier":"standard_access"}',
            "X-Business-Use-Case-Usage": json.dumps(BUC),
            "X-FB-Ads-Insights-Throttle": '{"app_id_util_pct":50,"acc_id_util_pct":10}',
        }
    )
    assert found.percent == 97.0
    assert found.regain_seconds == 180
    assert found.tier == "development_access"
    assert found.known
    assert {scope.scope: scope.percent for scope in found.by_scope} == {
        "app": 28.0,
        "account": 9.67,
        "use_case:123456789:ads_management": 95.0,
        "use_case:123456789:ads_insights": 97.0,
        "insights_app": 50.0,
        "insights_account": 10.0,
    }


def test_the_reset_time_of_an_account_is_a_wait_only_when_it_is_full() -> None:
    full = usage.parse({"x-ad-account-usage": '{"acc_id_util_pct":100,"reset_time_duration":100}'})
    calm = usage.parse({"x-ad-account-usage": '{"acc_id_util_pct":10,"reset_time_duration":100}'})
    assert (full.regain_seconds, calm.regain_seconds) == (100, 0)


def test_no_header_says_nothing() -> None:
    assert usage.parse({}) == usage.Usage()
    assert usage.slower(usage.parse({}).percent) == 1


@pytest.mark.fault("F40")
@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", '"x"', "{}", '{"call_count": null}', '{"call_count": "abc"}', '{"call_count": NaN}',
     '{"call_count": -5}', '{"call_count": {}}', "[" * 50_000, '{"call_count": true}'],
)  # fmt: skip
def test_a_malformed_header_slows_down_and_does_not_stop(text: str) -> None:
    found = usage.parse({"X-App-Usage": text})
    assert (found.percent, found.known) == (usage.MALFORMED_PERCENT, False)
    assert 1 < usage.slower(found.percent) < 10


@pytest.mark.fault("F40")
@pytest.mark.parametrize(
    "text", ['{"1": {}}', '{"1": [null]}', '{"1": ["x"]}', '{"1": [{"type": "ads"}]}', '{"1": null}']
)
def test_a_malformed_use_case_header_is_conservative(text: str) -> None:
    assert usage.parse({"X-Business-Use-Case-Usage": text}).percent == usage.MALFORMED_PERCENT


def test_percentages_may_be_strings() -> None:
    assert usage.parse({"X-App-Usage": '{"call_count":"60"}'}).percent == 60.0


@pytest.mark.fault("F40")
@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["x-app-usage", "X-Ad-Account-Usage", "x-business-use-case-usage"]), st.text()
    )
)
def test_reading_usage_never_raises(headers: dict[str, str]) -> None:
    assert usage.parse(headers).percent >= 0


@pytest.mark.parametrize(
    ("percent", "times"),
    [(0, 1), (49.9, 1), (50, 2), (74.9, 2), (75, 4), (89.9, 4), (90, 10), (100, 10), (1_000_000, 10)],
)
def test_the_fuller_the_slower(percent: float, times: int) -> None:
    assert usage.slower(percent) == times


def test_a_version_warning_is_found_whatever_its_case() -> None:
    assert usage.version_warning({"X-Ad-Api-Version-Warning": "v26.0 ends soon"}) == "v26.0 ends soon"
    assert usage.version_warning({"X-App-Usage": "{}"}) is None
