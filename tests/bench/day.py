"""The whole schedule against the sandbox in simulated time, and what its calls brought.

    python -m tests.bench.day HOURS     the installation is the environment's, still empty; prints JSON

    world `bench` (50 campaigns, 1,000 ads) on the limited tier, connected, structure and 3 days read
        -> an hour in which the product learns when Meta's numbers move, which is not counted
        -> HOURS without anybody watching, from 06:00 UTC        -> HOURS with somebody watching, from 15:00 UTC
    once an hour a person multiplies the budgets of one campaign by a hundred

A loop that reads campaigns and ads in full sees a refresh at its next round, half its period later on average: what
one round costs is asked of the sandbox, the rest is arithmetic (`tests.bench.calls`).
"""

from __future__ import annotations

import json
import os
import sys
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

import campaigns.sync as structure  # noqa: E402
from accounts.access import principal_of  # noqa: E402
from accounts.ad_accounts import enable  # noqa: E402
from accounts.connections import connect  # noqa: E402
from accounts.models import AdAccount, Client, User  # noqa: E402
from insights.analytics import account_today  # noqa: E402
from insights.fetch import first_sync  # noqa: E402
from insights.models import CampaignDay, DataVersion  # noqa: E402
from metaads.clock import using  # noqa: E402
from metaads.gateway import plugged  # noqa: E402
from metaads.sandbox.app import Sandbox  # noqa: E402
from metaads.sandbox.clock import ManualClock  # noqa: E402
from tests.door import WSGIAdapter, session  # noqa: E402
from tests.insights.replay import Replay  # noqa: E402

START = datetime(2026, 11, 18, 4, 50, 13, tzinfo=UTC)
WATCHED_FROM = 15
#: A campaign of the world may spend this in a day, before somebody raises it; Meta goes up to 75 % above.
BUDGET = Decimal(4 * 400)
TOO_MUCH = BUDGET * Decimal("1.75")
RAISED_TO = 4_000_000  # minor units a day, of each ad set
RAISED_BEFORE: set[str] = set()


@dataclass
class Overspends:
    """Raises one campaign an hour, and notes when Meta's numbers and when our rows say that it spends too much; and
    the account's data version, so that a call can be told to have brought news."""

    replay: Replay
    at_source: dict[str, float] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    versions: list[tuple[float, int]] = field(default_factory=list)
    raised: set[str] = field(default_factory=set)
    _next: float = 0.0
    _as_of: float = 0.0

    def __call__(self) -> bool:
        """What `Replay` asks every five seconds: no change of ours is on its way."""
        now, account = self.replay.clock.timestamp(), self.replay.accounts[0]
        version = DataVersion.objects.of(account).values_list("version", flat=True).get()
        self.versions.append((now, version))
        if now >= self._next:
            self._next = now + 3600
            self._raise()
        self._look(account, now)
        return False

    def brought(self, at: float) -> bool:
        """Whether calls of this moment changed what we know."""
        index = bisect_right(self.versions, (at, sys.maxsize))
        before = self.versions[index - 1][1] if index else 0
        return index < len(self.versions) and self.versions[index][1] != before

    def _raise(self) -> None:
        box = self.replay.sandbox
        nodes = list(box.world.nodes.values())
        taken = self.raised | RAISED_BEFORE
        one = next(node.id for node in nodes if node.kind == "campaign" and node.id not in taken)
        self.raised.add(one)
        for node in nodes:
            if node.kind == "adset" and node.parent_id == one:
                edit = {"object_id": node.id, "field": "daily_budget", "value": RAISED_TO}
                status, answer, *_ = box.control.handle("POST", "edit", edit)
                assert status == 200, answer

    def _look(self, account: AdAccount, now: float) -> None:
        truth, today = self.replay.sandbox.truth, account_today(account, self.replay.clock.now())
        as_of = truth.as_of(now)
        if as_of != self._as_of and self.raised - self.at_source.keys():
            self._as_of = as_of
            found = truth.totals(account.act_id, since=today, until=today, now=now, level="campaign")
            for one in self.raised - self.at_source.keys():
                if one in found and Decimal(found[one]["spend"]) / 100 > TOO_MUCH:
                    self.at_source[one] = as_of
        waiting = self.at_source.keys() - self.delays.keys()
        if waiting:
            rows = CampaignDay.objects.of(account).filter(day=today, campaign_id__in=waiting)
            for one, spend in rows.values_list("campaign_id", "spend"):
                if spend > TOO_MUCH:
                    self.delays[one] = now - self.at_source[one]


def main() -> None:
    hours = float(sys.argv[1])
    clock = ManualClock(START)
    with using(clock.now):
        box = Sandbox(world="bench", seed=5, clock=clock)
        with plugged(WSGIAdapter(box)):
            account = _connected(box, clock)
            _on_to(clock, 5)
            Replay(sandbox=box, clock=clock, accounts=[account]).run(hours=1)
            spans = [_span("nobody watches", box, clock, account, hours)]
            _on_to(clock, WATCHED_FROM)
            spans.append(_span("somebody watches", box, clock, account, hours))
            fixed = _round(box, account)
    print(json.dumps({"hours": hours, "spans": spans, "fixed_round_calls": fixed}))


def _connected(box: Sandbox, clock: ManualClock) -> AdAccount:
    user = User.objects.get(email="owner@example.com")
    client, who = Client.objects.get(slug="bench"), principal_of(user)
    connect(client=client, principal=who, token=box.token("alice"), now=clock.now(), user=user)
    account = AdAccount.everything.get()
    enable(ad_account=account, principal=who, now=clock.now())
    account.refresh_from_db()
    structure.run(ad_account=account, now=clock.now())
    assert first_sync(ad_account=account, days=3, now=clock.now()).state == "done"
    return account


def _on_to(clock: ManualClock, hour: int) -> None:
    """The next time that it is `hour` o'clock and nine minutes."""
    now = clock.now()
    then = now.replace(hour=hour, minute=9, second=13)
    clock.set(then if then > now else then + timedelta(days=1))


def _span(who: str, box: Sandbox, clock: ManualClock, account: AdAccount, hours: float) -> dict[str, Any]:
    replay = Replay(sandbox=box, clock=clock, accounts=[account])
    overspends = Overspends(replay)
    first = len(box.history)
    measured = replay.run(hours=hours, moving=overspends)
    RAISED_BEFORE.update(overspends.raised)
    lines = box.history[first:]
    moments = Counter(line["at"] for line in lines if line["path"].endswith("/insights"))
    probes = {line["at"] for line in lines if _probe(line)}
    quiet = [moments[at] for at in probes if not overspends.brought(at)]
    news = sum(count for at, count in moments.items() if overspends.brought(at))
    calls = sum(moments.values())
    delays = list(overspends.delays.values())
    return {
        "who": who,
        "calls": len(lines),
        "insights_calls": calls,
        "polls": len(probes),
        "calls_per_quiet_poll": round(sum(quiet) / len(quiet), 2) if quiet else None,
        "calls_with_news": news,
        "versions": len(measured.staleness),
        "staleness_mean_s": round(sum(measured.staleness) / len(measured.staleness), 1),
        "staleness_p50_s": measured.percentile(0.5),
        "staleness_p95_s": measured.percentile(0.95),
        "overspends": len(overspends.at_source),
        "overspends_seen": len(delays),
        "overspend_mean_s": round(sum(delays) / len(delays), 1) if delays else None,
        "highest_score": round(max(measured.highest.values()), 1),
        "refused": len(measured.refused),
    }


def _probe(line: dict[str, Any]) -> bool:
    asked = line["params"]
    today = asked.get("date_preset") == "today" and asked.get("level") == "account"
    return bool(today and line["path"].endswith("/insights"))


def _round(box: Sandbox, account: AdAccount) -> int:
    """Calls of one round that reads today's campaigns and ads in full, at 500 a page."""
    before = len(box.history)
    asking = session(box)
    for level in ("campaign", "ad"):
        asked = f"level={level}&date_preset=today&limit=500&fields={level}_id,spend"
        url = f"https://graph.facebook.com/v26.0/{account.act_id}/insights?{asked}"
        while url:
            answer = asking.get(url, headers={"Authorization": f"Bearer {box.token('alice')}"})
            answer.raise_for_status()
            url = answer.json().get("paging", {}).get("next", "")
    return len(box.history) - before


if __name__ == "__main__":
    main()
