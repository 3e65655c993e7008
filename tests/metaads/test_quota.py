"""The call budget: what stops whom, for how long, and what is left for the write and the pause."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metaads.graph.errors import Answer, Kind
from metaads.models import QuotaScope
from metaads.quota import APP, OWN_SHARE, SPREAD_SECONDS, Blocked, abreast, check, paces, record, state

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 18, 15, 0, 0, tzinfo=UTC)
SCOPE = "act_1"


def answer(kind: Kind = Kind.OK, **parts: Any) -> Answer:
    percent, tier = parts.pop("percent", None), parts.pop("tier", "development_access")
    headers = {}
    if percent is not None:
        headers["x-ad-account-usage"] = json.dumps(
            {
                "acc_id_util_pct": percent,
                "reset_time_duration": parts.pop("reset", 0),
                "ads_api_access_tier": tier,
            }
        )
    return Answer(kind=kind, headers=headers, **parts)


def spend(use: str, times: int, *, at: datetime = NOW, scope: str = SCOPE) -> int:
    """How many of `times` calls were let through."""
    done = 0
    for _ in range(times):
        try:
            check(scope=scope, use=use, now=at)
        except Blocked:
            return done
        done += 1
    return done


@pytest.mark.fault("F41", "F40")
def test_reads_end_at_42_points_and_leave_room_for_writing() -> None:
    assert spend("read", 100) == 42
    assert spend("verify", 100) == 8, "verifying goes on to 50"
    assert spend("write", 1) == 0, "a write costs three and would pass 50"
    assert spend("pause", 100) == 3, "a pause may spend the last of the 60"


def test_a_refused_call_spends_nothing() -> None:
    spend("read", 42)
    before = state(scope=SCOPE, now=NOW).points
    with pytest.raises(Blocked):
        check(scope=SCOPE, use="read", now=NOW)
    assert state(scope=SCOPE, now=NOW).points == before == 42


def test_points_come_back_after_300_seconds_and_not_before() -> None:
    spend("read", 42)
    with pytest.raises(Blocked) as refusal:
        check(scope=SCOPE, use="read", now=NOW + timedelta(seconds=299))
    assert NOW + timedelta(seconds=300) <= refusal.value.until <= NOW + timedelta(seconds=310)
    assert spend("read", 100, at=refusal.value.until) == 42


def test_never_more_than_50_points_in_any_300_seconds_however_the_calls_are_spaced() -> None:
    """One attempt a second for 30 minutes, three uses in turn; the sliding sum is taken anew here."""
    made: list[tuple[int, int]] = []
    for second in range(1800):
        use = ("read", "verify", "write")[second % 3]
        if spend(use, 1, at=NOW + timedelta(seconds=second)):
            made.append((second, 3 if use == "write" else 1))
    for start in range(1500):
        assert sum(cost for second, cost in made if start <= second < start + 300) <= 50
    assert sum(cost for _, cost in made) >= 5 * 42, "and the allowance is used, not hoarded"


def test_accounts_do_not_spend_each_other_s_points() -> None:
    spend("read", 42)
    assert spend("read", 1, scope="act_2") == 1


def test_the_full_tier_has_more_points_once_a_header_says_so() -> None:
    check(scope=SCOPE, use="read", now=NOW)
    record(scope=SCOPE, answer=answer(percent=1, tier="standard_access"), use="read", now=NOW)
    assert state(scope=SCOPE, now=NOW).limit == 9000
    assert spend("read", 200) == 200


def test_few_reads_wait_at_once_until_meta_has_named_the_wide_tier_and_one_when_its_limit_is_near() -> None:
    assert abreast(scope=SCOPE, now=NOW) == 2
    for percent, tier, wanted in (
        (1, "development_access", 2),
        (1, "standard_access", 4),
        (49.9, "standard_access", 4),
        (50, "standard_access", 2),
        (75, "standard_access", 1),
    ):
        record(scope=SCOPE, answer=answer(percent=percent, tier=tier), use="read", now=NOW)
        assert abreast(scope=SCOPE, now=NOW) == wanted
    assert abreast(scope=SCOPE, now=NOW + timedelta(seconds=600)) == 4, "a figure that nothing confirms fades"


@pytest.mark.fault("F40")
@pytest.mark.parametrize(
    ("percent", "use", "goes"),
    [
        (89.9, "read", True),
        (90, "read", False),
        (93.9, "insights", True),
        (94, "insights", False),
        (75, "history", False),
        (90, "verify", True),
        (94.9, "write", True),
        (95, "write", False),
        (95, "verify", False),
        (99, "pause", True),
        (100, "read", False),
        (100, "write", False),
        (100, "pause", True),
    ],
)
def test_headers_stop_reads_first_then_writes_and_never_a_pause(percent: float, use: str, goes: bool) -> None:
    record(scope=SCOPE, answer=answer(percent=percent), use="read", now=NOW)
    assert bool(spend(use, 1)) is goes


@pytest.mark.fault("F40")
@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{", '{"acc_id_util_pct": null}', '{"acc_id_util_pct": "NaN"}']
)
def test_a_header_that_cannot_be_read_counts_as_three_quarters_full(text: str) -> None:
    headers = {"x-ad-account-usage": text}
    record(scope=SCOPE, answer=Answer(kind=Kind.OK, headers=headers), use="read", now=NOW)
    assert state(scope=SCOPE, now=NOW).percent == 75
    assert (spend("history", 1), spend("read", 1), spend("write", 1)) == (0, 1, 1)


@pytest.mark.fault("F40")
def test_without_any_header_the_stricter_tier_and_our_own_count_hold() -> None:
    for _ in range(5):
        record(scope=SCOPE, answer=Answer(kind=Kind.OK), use="read", now=NOW)
    assert (state(scope=SCOPE, now=NOW).limit, spend("read", 100)) == (60, 42)


HEADERS = {
    "x-app-usage": lambda full: {"call_count": 1, "total_time": full, "total_cputime": 1},
    "x-ad-account-usage": lambda full: {"acc_id_util_pct": full, "reset_time_duration": 0},
    "x-business-use-case-usage": lambda full: {
        "1": [{"type": "ads_management", "call_count": 1, "total_cputime": full, "total_time": 1}]
    },
    "x-fb-ads-insights-throttle": lambda full: {"app_id_util_pct": full, "acc_id_util_pct": 1},
}


def hear(header: str, full: float, *, scope: str = SCOPE, at: datetime = NOW) -> None:
    headers = {header: json.dumps(HEADERS[header](full))}
    record(scope=scope, answer=Answer(kind=Kind.OK, headers=headers), use="insights", now=at)


@pytest.mark.fault("F40")
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("full", "times"), [(49, 1), (50, 2), (75, 4), (90, 10), (100, 10)])
def test_every_usage_header_slows_unhurried_reads_in_steps(header: str, full: float, times: int) -> None:
    hear(header, full)
    assert paces(scopes=[SCOPE], now=NOW) == {SCOPE: times}


@pytest.mark.parametrize(
    ("header", "times"),
    [
        ("x-app-usage", 4),
        ("x-fb-ads-insights-throttle", 4),
        ("x-ad-account-usage", 1),
        ("x-business-use-case-usage", 1),
    ],
)
def test_what_the_app_s_accounts_share_slows_them_all_and_nothing_else_does(header: str, times: int) -> None:
    hear(header, 80)
    assert paces(scopes=[SCOPE, "act_2"], now=NOW) == {SCOPE: 4, "act_2": times}


def test_a_pace_fades_with_the_figure_that_asked_for_it() -> None:
    hear("x-app-usage", 95)
    assert paces(scopes=[SCOPE], now=NOW + timedelta(seconds=599)) == {SCOPE: 10}
    assert paces(scopes=[SCOPE], now=NOW + timedelta(seconds=600)) == {SCOPE: 1}


def test_a_figure_that_nothing_confirms_fades_after_ten_minutes() -> None:
    record(scope=SCOPE, answer=answer(percent=93), use="read", now=NOW)
    assert spend("read", 1, at=NOW + timedelta(seconds=599)) == 0
    assert spend("read", 1, at=NOW + timedelta(seconds=600)) == 1


def test_a_throttled_answer_blocks_the_account_for_everything_even_a_pause() -> None:
    record(
        scope=SCOPE,
        answer=answer(Kind.THROTTLED, code=17, rule="account_limit", retry_after=120.0),
        use="read",
        now=NOW,
    )
    for use in ("read", "verify", "write", "pause"):
        with pytest.raises(Blocked) as refusal:
            check(scope=SCOPE, use=use, now=NOW + timedelta(seconds=119))
        assert refusal.value.until == NOW + timedelta(seconds=120)
        assert "act_1" in refusal.value.reason and "account_limit" in refusal.value.reason
    assert spend("pause", 1, at=NOW + timedelta(seconds=120)) == 1


def test_a_throttle_without_a_figure_blocks_as_long_as_the_tier_does() -> None:
    record(scope=SCOPE, answer=answer(Kind.THROTTLED, code=613), use="read", now=NOW)
    assert state(scope=SCOPE, now=NOW).blocked_until == NOW + timedelta(seconds=300)


def test_a_later_answer_never_shortens_the_wait() -> None:
    record(scope=SCOPE, answer=answer(Kind.THROTTLED, code=17, retry_after=3600.0), use="read", now=NOW)
    record(scope=SCOPE, answer=answer(Kind.THROTTLED, code=17, retry_after=5.0), use="read", now=NOW)
    assert state(scope=SCOPE, now=NOW).blocked_until == NOW + timedelta(hours=1)


def test_minutes_to_regain_access_in_the_header_block_without_a_throttled_answer() -> None:
    headers = {
        "x-business-use-case-usage": json.dumps(
            {"1": [{"type": "ads_insights", "call_count": 100, "total_cputime": 1, "total_time": 1,
                    "estimated_time_to_regain_access": 7, "ads_api_access_tier": "development_access"}]}
        )
    }  # fmt: skip
    record(scope=SCOPE, answer=Answer(kind=Kind.OK, headers=headers), use="insights", now=NOW)
    assert state(scope=SCOPE, now=NOW).blocked_until == NOW + timedelta(minutes=7)


def test_the_app_s_limit_stops_every_account() -> None:
    record(scope=SCOPE, answer=answer(Kind.THROTTLED, code=4, retry_after=60.0), use="read", now=NOW)
    assert spend("read", 1, scope="act_2") == 0
    assert spend("read", 1, scope=APP) == 0
    assert spend("read", 1, scope="act_2", at=NOW + timedelta(seconds=60 + SPREAD_SECONDS)) == 1


@pytest.mark.fault("F39")
def test_what_waits_for_the_app_s_limit_does_not_come_back_in_one_second() -> None:
    record(scope=SCOPE, answer=answer(Kind.THROTTLED, code=4, retry_after=60.0), use="read", now=NOW)
    back = []
    for number in range(60):
        with pytest.raises(Blocked) as refusal:
            check(scope=f"act_{number}", use="read", now=NOW)
        back.append((refusal.value.until - NOW).total_seconds())
    assert min(back) >= 60 and max(back) < 60 + SPREAD_SECONDS
    assert len(set(back)) >= 10, "spread"
    assert max(back.count(moment) for moment in back) <= 12
    assert spend("pause", 1, scope="act_1", at=NOW + timedelta(seconds=60)) == 1, (
        "a pause waits no longer than it must"
    )


def app_is_full(percent: float, *, at: datetime = NOW) -> None:
    headers = {"x-app-usage": json.dumps({"call_count": percent, "total_time": 1, "total_cputime": 1})}
    record(scope="act_99", answer=Answer(kind=Kind.OK, headers=headers), use="read", now=at)


def reads(owner: str, times: int, *, at: datetime = NOW) -> int:
    """How many of `times` reads of ever other accounts of that owner were let through."""
    done = 0
    for number in range(times):
        try:
            check(scope=f"act_{owner}{number}", use="insights", now=at, owner=owner)
        except Blocked:
            return done
        done += 1
    return done


@pytest.mark.fault("F43")
def test_a_noisy_client_leaves_the_second_half_of_the_app_s_limit_to_the_others() -> None:
    reads("quiet", 5)
    assert reads("noisy", 300) == 300, "there is room enough for everybody"
    app_is_full(49)
    assert reads("noisy", 1) == 1
    app_is_full(50)
    with pytest.raises(Blocked, match="50 % used, and this client has had its share") as refusal:
        check(scope="act_noisy1", use="insights", now=NOW, owner="noisy")
    assert refusal.value.until == NOW + timedelta(seconds=30)
    assert reads("quiet", 250) == 250
    assert [spend(use, 1, scope="act_noisy1") for use in ("write", "verify", "pause")] == [1, 1, 1]
    assert reads("noisy", 1, at=NOW + timedelta(seconds=310)) == 1, "its calls have left the five minutes"


@pytest.mark.fault("F43")
def test_a_client_alone_stops_at_half_of_the_limit_and_keeps_a_small_share_beyond_it() -> None:
    reads("idle", 1, at=NOW - timedelta(hours=5))
    app_is_full(60)
    assert reads("noisy", 100) == OWN_SHARE
    assert reads("idle", 1) == 1


@pytest.mark.fault("F43")
def test_an_installation_of_one_client_has_the_whole_limit() -> None:
    app_is_full(80)
    assert reads("only", 100) == 100


def test_a_block_survives_a_restart_because_it_is_a_row() -> None:
    record(scope=SCOPE, answer=answer(Kind.THROTTLED, code=17, retry_after=90.0), use="read", now=NOW)
    assert QuotaScope.objects.get(pk=SCOPE).blocked_until == NOW + timedelta(seconds=90)
    assert QuotaScope.objects.get(pk=SCOPE).throttled == 1


def test_an_answer_without_usage_headers_changes_nothing() -> None:
    record(scope=SCOPE, answer=answer(percent=50), use="read", now=NOW)
    record(scope=SCOPE, answer=answer(), use="read", now=NOW)
    assert state(scope=SCOPE, now=NOW).percent == 50


def test_a_scope_that_was_never_used_is_empty() -> None:
    empty = state(scope="act_404", now=NOW)
    assert (empty.percent, empty.points, empty.limit, empty.blocked_until, empty.tier) == (
        0.0,
        0,
        60,
        None,
        None,
    )
