"""Read Meta's usage headers: how full the quotas are, and how long to stay away.

    X-App-Usage                  {"call_count":28,"total_time":25,"total_cputime":25}     percent of an hour
    X-Ad-Account-Usage           {"acc_id_util_pct":9.67,"reset_time_duration":100,...} SECONDS
    X-Business-Use-Case-Usage    {"<id>":[{"type":"ads_insights","call_count":12,...,
                                   "estimated_time_to_regain_access":0,"ads_api_access_tier":".."}]}  MINUTES
    X-FB-Ads-Insights-Throttle   {"app_id_util_pct":100,"acc_id_util_pct":10,"ads_api_access_tier":"..."}

A header that cannot be read counts as 75 % full: slower, not blocked. A missing header says nothing (0 %,
not `known`). Source: docs/meta.md, section 4.1. PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

APP: Final = "x-app-usage"
ACCOUNT: Final = "x-ad-account-usage"
USE_CASE: Final = "x-business-use-case-usage"
INSIGHTS: Final = "x-fb-ads-insights-throttle"
VERSION_WARNING: Final = "x-ad-api-version-warning"

MALFORMED_PERCENT: Final = 75.0
#: From this percentage on, that many times slower; the fullest first.
_STEPS: Final = ((90.0, 10), (75.0, 4), (50.0, 2))
_MAX_REGAIN: Final = 24 * 3600
_TIERS: Final = frozenset({"development_access", "standard_access"})


@dataclass(frozen=True)
class ScopeUsage:
    """How full one quota is. `scope`: app, account, insights_app, insights_account or
    use_case:<id>:<type>."""

    scope: str
    percent: float
    regain_seconds: int = 0
    tier: str | None = None


@dataclass(frozen=True)
class Usage:
    """How full the fullest quota is (percent, may exceed 100), and the longest wait in seconds that a
    header names.

    `known` is False when no header could be read. `tier` is Meta's header value: development_access
    (limited) or standard_access (full); the stricter one where headers disagree.
    """

    percent: float = 0.0
    regain_seconds: int = 0
    tier: str | None = None
    by_scope: tuple[ScopeUsage, ...] = ()
    known: bool = False


def parse(headers: Mapping[str, str]) -> Usage:
    """Read all four usage headers of one answer. Total: never raises; what cannot be read counts as
    MALFORMED_PERCENT."""
    lowered = {str(name).lower(): value for name, value in headers.items()}
    scopes: list[ScopeUsage] = []
    readable = False
    for name, read in _READERS.items():
        if name not in lowered:
            continue
        try:
            found = list(read(_object(lowered[name])))
        except (ValueError, TypeError, RecursionError, OverflowError):
            scopes.append(ScopeUsage(scope=f"malformed:{name}", percent=MALFORMED_PERCENT))
            continue
        readable = readable or bool(found)
        scopes += found
    tiers = {scope.tier for scope in scopes if scope.tier}
    tier = "development_access" if "development_access" in tiers else next(iter(tiers), None)
    return Usage(
        percent=max((scope.percent for scope in scopes), default=0.0),
        regain_seconds=max((scope.regain_seconds for scope in scopes), default=0),
        tier=tier,
        by_scope=tuple(scopes),
        known=readable,
    )


def version_warning(headers: Mapping[str, str]) -> str | None:
    """Return Meta's notice that the API version in use is about to end, if the answer carried one."""
    for name, value in headers.items():
        if str(name).lower() == VERSION_WARNING and str(value).strip():
            return str(value).strip()[:500]
    return None


def slower(percent: float) -> int:
    """How many times slower an unhurried read goes while the fullest quota is that full (1: at full pace).

    Meta throttles at 100 %, and other programs spend the same quotas: whoever slows down only then has already been
    refused (docs/meta.md, section 4.1).
    """
    return next((times for full, times in _STEPS if percent >= full), 1)


def _object(text: str) -> dict[str, Any]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return data


def _number(value: object) -> float:
    """Read a percentage or a duration; strings of numbers are accepted, as Meta mixes both."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("not a number")
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError("not a usable number")
    return min(number, 1_000_000.0)


def _tier(data: Mapping[str, Any]) -> str | None:
    tier = data.get("ads_api_access_tier")
    return tier if isinstance(tier, str) and tier in _TIERS else None


def _fullest(data: Mapping[str, Any]) -> float:
    """Take the fullest of calls, CPU time and wall time: each of the three throttles on its own."""
    present = [data[name] for name in ("call_count", "total_time", "total_cputime") if name in data]
    if not present:
        raise ValueError("no percentage")
    return max(_number(value) for value in present)


def _app(data: dict[str, Any]) -> Iterator[ScopeUsage]:
    yield ScopeUsage(scope="app", percent=_fullest(data))


def _account(data: dict[str, Any]) -> Iterator[ScopeUsage]:
    percent = _number(data["acc_id_util_pct"]) if "acc_id_util_pct" in data else _number(None)
    # The reset time is sent all the time; it is a wait only for an account that is full.
    reset = _number(data.get("reset_time_duration", 0)) if percent >= 95.0 else 0.0
    yield ScopeUsage(scope="account", percent=percent, regain_seconds=_wait(reset), tier=_tier(data))


def _insights(data: dict[str, Any]) -> Iterator[ScopeUsage]:
    names = {"app_id_util_pct": "insights_app", "acc_id_util_pct": "insights_account"}
    if not names.keys() & data.keys():
        raise ValueError("no percentage")
    for name, scope in names.items():
        if name in data:
            yield ScopeUsage(scope=scope, percent=_number(data[name]), tier=_tier(data))


def _use_case(data: dict[str, Any]) -> Iterator[ScopeUsage]:
    for owner, entries in data.items():
        if not isinstance(entries, list):
            raise ValueError("not a list")
        for entry in entries:
            if not isinstance(entry, dict):
                raise ValueError("not an object")
            minutes = _number(entry.get("estimated_time_to_regain_access") or 0)
            kind = entry.get("type")
            yield ScopeUsage(
                scope=f"use_case:{owner[:40]}:{kind[:40] if isinstance(kind, str) else 'unknown'}",
                percent=_fullest(entry),
                regain_seconds=_wait(minutes * 60),
                tier=_tier(entry),
            )


def _wait(seconds: float) -> int:
    return min(math.ceil(seconds), _MAX_REGAIN)


_READERS: Final = {APP: _app, ACCOUNT: _account, USE_CASE: _use_case, INSIGHTS: _insights}
