"""Bodies as Meta sends them, one line per documented code (docs/meta.md, section 3.3), and what each must become."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from metaads.graph.errors import Kind


@dataclass(frozen=True)
class Case:
    """One answer of Meta: HTTP status, code, subcode, message - and the kind and rule that it must get."""

    code: int
    subcode: int | None
    kind: Kind
    rule: str
    message: str = "An error"
    status: int = 400
    extra: dict[str, Any] = field(default_factory=dict)
    reduce: bool = False
    definite: bool = False

    @property
    def body(self) -> bytes:
        error: dict[str, Any] = {"message": self.message, "type": "OAuthException", "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error |= {"fbtrace_id": "AbCdEf123", **self.extra}
        return json.dumps({"error": error}).encode()

    def __str__(self) -> str:
        return f"{self.code}-{self.subcode}-{self.rule}"


def _many(kind: Kind, rows: str, **more: Any) -> list[Case]:
    """Read a table of `code subcode rule` lines; `-` is no subcode."""
    cases = []
    for line in rows.strip().splitlines():
        code, subcode, rule = line.split()
        cases.append(Case(int(code), None if subcode == "-" else int(subcode), kind, rule, **more))
    return cases


_REDUCE = "Please reduce the amount of data you're asking for, then retry your request"

CASES: list[Case] = [
    # Meta's own trouble
    Case(1, None, Kind.TRANSIENT, "unknown_error", "An unknown error occurred", 500),
    Case(1, 99, Kind.TRANSIENT, "unknown_error", "An unknown error occurred", 500),
    Case(2, None, Kind.TRANSIENT, "service_unavailable", "Service temporarily unavailable", 500),
    Case(2, 99, Kind.TRANSIENT, "unknown_error", status=500),
    Case(960, None, Kind.TRANSIENT, "batch_timed_out", "Batch timed out"),
    Case(2, 1504043, Kind.TRANSIENT, "insights_intermittent", status=500),
    Case(2, 1504044, Kind.TRANSIENT, "insights_unexpected", status=500),
    Case(-2, 2490547, Kind.TRANSIENT, "report_failed", status=500),
    Case(100, 3910001, Kind.TRANSIENT, "account_trouble"),
    Case(3910001, None, Kind.TRANSIENT, "account_trouble"),
    Case(
        100,
        None,
        Kind.TRANSIENT,
        "report_summary_race",
        "(#100) Cannot include impressions, spend in summary param because they weren't there while creating the run",
    ),
    Case(100, None, Kind.TRANSIENT, "is_transient", "Invalid parameter", extra={"is_transient": True}),
    Case(4711, None, Kind.TRANSIENT, "is_transient", extra={"is_transient": True}),
    # Too much
    Case(1, None, Kind.TRANSIENT, "reduce_the_data", _REDUCE, 500, reduce=True),
    Case(-3, 1504045, Kind.TRANSIENT, "report_too_large", status=500, reduce=True),
    Case(2, 1504018, Kind.TRANSIENT, "insights_timed_out", status=500, reduce=True),
    Case(100, 1504018, Kind.TRANSIENT, "insights_timed_out", reduce=True),
    Case(2, 1504038, Kind.TRANSIENT, "insights_timed_out", status=500, reduce=True),
    Case(100, 1487534, Kind.TRANSIENT, "insights_too_large", reduce=True),
    # Throttles, at HTTP 400 as the wire has them
    *_many(
        Kind.THROTTLED,
        """
        4 - app_limit
        4 1504022 insights_load
        4 1504039 insights_app_limit
        17 - user_limit
        17 2446079 account_score
        17 1885172 spend_limit_changes
        32 - page_limit
        341 - app_limit_temporary
        613 - custom_limit
        613 1487742 account_calls
        613 5044001 mutations_per_second
        613 1487632 budget_changes
        613 1487225 ad_creation
        613 1996 irregular_volume
        80000 2446079 use_case_limit
        80001 - use_case_limit
        80002 - use_case_limit
        80003 2446079 use_case_limit
        80004 2446079 use_case_limit
        80005 - use_case_limit
        80006 - use_case_limit
        80008 - use_case_limit
        80009 - use_case_limit
        80014 - use_case_limit
        """,
        message="There have been too many calls to this ad-account.",
        extra={"is_transient": True},
    ),
    # Tokens
    Case(190, None, Kind.AUTH, "token_invalid", "Invalid OAuth access token."),
    Case(190, 1, Kind.AUTH, "token_invalid", "Malformed access token"),
    Case(102, None, Kind.AUTH, "session_expired", "Session key invalid", 401),
    *_many(
        Kind.AUTH,
        """
        190 458 app_removed
        190 459 checkpointed
        190 460 password_changed
        190 463 token_expired
        190 464 user_unconfirmed
        190 467 token_revoked
        102 463 token_expired
        """,
        message="Error validating access token: Session has expired",
        status=401,
        definite=True,
    ),
    # Permissions
    *_many(
        Kind.NOT_PERMITTED,
        """
        3 - app_lacks_capability
        10 - action_not_permitted
        190 492 page_role_lost
        200 - permission_missing
        275 - permission_missing
        299 - permission_missing
        200 1870034 audience_terms
        200 1870047 audience_too_small
        294 - ads_management_missing
        368 - policy_block
        100 3191001 insights_not_permitted
        2654 1713092 audience_no_write
        100 1404163 advertising_restricted
        """,
        message="(#200) Requires ads_management permission",
        status=403,
    ),
    # Definite refusals
    *_many(
        Kind.REFUSED,
        """
        100 - invalid_parameter
        100 33 object_missing_or_hidden
        803 - unknown_object
        104 - bad_signature
        194 - missing_parameter
        506 - duplicate
        2 1504041 breakdown_combination
        2 1504042 custom_metric
        2500 - query_unreadable
        2606 - preview_impossible
        2607 - currency_invalid
        2615 - account_update_invalid
        2635 - api_version_retired
        2654 - audience_creation
        3018 - beyond_37_months
        100 1487694 targeting_gone
        100 1487007 ad_set_ended
        100 1487033 end_in_past
        100 1487056 ad_set_deleted
        100 1487566 campaign_deleted
        100 1487901 budget_too_low
        100 1487929 promoted_object_ambiguous
        100 1487990 too_many_archived
        100 1885088 ad_archived
        100 1885204 bid_must_be_automatic
        100 1885272 budget_too_low
        1885272 - budget_too_low
        100 1885621 budget_on_two_levels
        100 1885650 budget_below_spend
        100 2238055 campaign_budget_minimum
        100 2446149 instagram_ids_conflict
        100 2446307 spend_cap_minimum
        100 2446394 targeting_options_gone
        100 2490427 ad_rejected
        100 2490468 ad_rejected
        100 3858152 dsa_missing
        100 1340029 dynamic_creative_ad
        100 4834011 budget_sharing_flag_missing
        100 4834002 budget_sharing_with_campaign_budget
        100 4834005 budget_sharing_needs_strategy
        100 4834006 budget_sharing_strategy_locked
        100 4834009 budget_sharing_not_uniform
        100 3858418 budget_sharing_fixed
        """,
    ),
    Case(
        100,
        None,
        Kind.REFUSED,
        "cursor_too_deep",
        "The After Cursor specified exceeds the max limit supported by this endpoint",
    ),
    Case(2, 1504041, Kind.REFUSED, "breakdown_combination", status=500),
    # Closed by default
    Case(4711, None, Kind.UNKNOWN, "unlisted_code"),
    Case(4711, 12, Kind.UNKNOWN, "unlisted_code", status=500),
    Case(
        -3,
        None,
        Kind.UNKNOWN,
        "unlisted_code",
        "Too many requests in batch message. Maximum batch size is 50",
    ),
    Case(100, None, Kind.UNKNOWN, "refused_with_5xx", "Invalid parameter", 503),
    Case(100, None, Kind.UNKNOWN, "redirect", "Invalid parameter", 302),
]
