"""Rate limits and the four usage headers (reference section 4), per access tier.

The score of an ad account rises by 1 per read and 3 per write and decays evenly over 300 seconds.
Business-use-case quotas count calls of the rolling hour. Mutations are capped per second, an ad set's budget
changes per hour.
"""

from __future__ import annotations

import collections
import dataclasses
import json

from metaads.sandbox.errors import GraphError, throttled

LIMITED, FULL = "development_access", "standard_access"
DECAY = 300.0
HOUR = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Tier:
    """What an access tier allows."""

    label: str
    score: float
    block: float
    management: int
    insights: int


TIERS = {LIMITED: Tier(LIMITED, 60, 300, 300, 600), FULL: Tier(FULL, 9_000, 60, 100_000, 190_000)}


class Limits:
    """Counts calls by ad account and says when it is enough. Not part of the world's state: a restart starts
    at zero.
    """

    def __init__(self, *, tier: str = FULL) -> None:
        self.tier = TIERS[tier]
        self._score: dict[str, tuple[float, float]] = {}
        self._blocked: dict[str, tuple[float, int]] = {}
        self._calls: dict[tuple[str, str], collections.deque[float]] = {}
        self._mutations: dict[str, collections.deque[float]] = {}
        self._budgets: dict[str, collections.deque[float]] = {}
        self._app: collections.deque[float] = collections.deque()

    def use_tier(self, label: str) -> None:
        """Switch the tier: ``development_access`` (limited) or ``standard_access`` (full)."""
        self.tier = TIERS[label]

    def charge(self, account: str, *, kind: str, write: bool, ads: int, now: float) -> None:
        """Count one call; raises when the account is over its score, and keeps it blocked for the tier's time."""
        until, code = self._blocked.get(account, (0.0, 17))
        if now < until:
            # Calling on while blocked lengthens the block (reference 4.1).
            self._blocked[account] = (max(until, now + self.tier.block / 2), code)
            raise throttled(code)
        score = self.score(account, now) + (3.0 if write else 1.0)
        if score > self.tier.score:
            self.block(account, until=now + self.tier.block, code=17)
            raise throttled(17)
        calls = self._recent(self._calls.setdefault((account, kind), collections.deque()), now, HOUR)
        if len(calls) >= self._quota(kind, ads):
            code = 80000 if kind == "ads_insights" else 80004
            self.block(account, until=now + self.tier.block, code=code)
            raise throttled(code)
        self._score[account] = (score, now)
        calls.append(now)
        if write:
            second = self._recent(self._mutations.setdefault(account, collections.deque()), now, 1.0)
            if len(second) >= 100:
                raise throttled(613, subcode=5044001)
            second.append(now)

    def block(self, account: str, *, until: float, code: int) -> None:
        """Refuse the account's calls until a moment; the headers tell how long."""
        self._blocked[account] = (until, code)

    def charge_app(self, now: float) -> None:
        """Count a platform call (no ad account in it)."""
        self._recent(self._app, now, HOUR).append(now)

    def charge_budget(self, adset: str, *, now: float) -> None:
        """Count a budget change of an ad set: four in an hour, then 613/1487632 (reference 4.4)."""
        changes = self._recent(self._budgets.setdefault(adset, collections.deque()), now, HOUR)
        if len(changes) >= 4:
            raise GraphError(
                613,
                "(#613) Calls to this api have exceeded the rate limit.",
                subcode=1487632,
                title="Ad set budget changed too often",
                user_message="You can change an ad set's budget four times an hour. Please try again in an hour.",
            )
        changes.append(now)

    def score(self, account: str, now: float) -> float:
        """The account's current score."""
        value, at = self._score.get(account, (0.0, now))
        return max(0.0, value - (now - at) * self.tier.score / DECAY)

    def headers(self, account: str | None, *, kind: str, ads: int, now: float) -> list[tuple[str, str]]:
        """Usage headers of an answer; ``kind`` is ``ads_insights`` or ``ads_management``."""
        if account is None:
            used = min(100, len(self._recent(self._app, now, HOUR)) * 100 // 20_000)
            return [
                ("X-App-Usage", json.dumps({"call_count": used, "total_time": used, "total_cputime": used}))
            ]
        wait = max(0.0, self._blocked.get(account, (0.0, 17))[0] - now)
        percent = (
            round(min(100.0, 100 * self.score(account, now) / self.tier.score), 2) if not wait else 100.0
        )
        rows = []
        for name in ("ads_management", "ads_insights"):
            quota = self._quota(name, ads)
            count = len(self._recent(self._calls.get((account, name), collections.deque()), now, HOUR))
            if not count and name != kind:
                continue
            used = min(100, count * 100 // quota)
            rows.append(
                {
                    "type": name,
                    "call_count": used,
                    "total_cputime": used,
                    "total_time": used,
                    "estimated_time_to_regain_access": int(-(-wait // 60)),
                    "ads_api_access_tier": self.tier.label,
                }
            )
        headers = [
            ("X-Business-Use-Case-Usage", json.dumps({account: rows})),
            (
                "X-Ad-Account-Usage",
                json.dumps(
                    {
                        "acc_id_util_pct": percent,
                        "reset_time_duration": int(wait or DECAY),
                        "ads_api_access_tier": self.tier.label,
                    }
                ),
            ),
        ]
        if kind == "ads_insights":
            headers.append(
                (
                    "X-FB-Ads-Insights-Throttle",
                    json.dumps(
                        {
                            "app_id_util_pct": round(min(100.0, percent / 4), 2),
                            "acc_id_util_pct": percent,
                            "ads_api_access_tier": self.tier.label,
                        }
                    ),
                )
            )
        return headers

    def _quota(self, kind: str, ads: int) -> int:
        """Calls an hour by business use case (reference 4.3)."""
        return self.tier.insights + 400 * ads if kind == "ads_insights" else self.tier.management + 40 * ads

    def _recent(self, times: collections.deque[float], now: float, span: float) -> collections.deque[float]:
        while times and times[0] <= now - span:
            times.popleft()
        return times
