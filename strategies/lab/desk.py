"""What a policy sees at one look, and what it may ask for: the stored account, read through the one reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property
from typing import Final

import insights.analytics as analytics
from campaigns.queries import ObjectRow, structure
from campaigns.states import Field, Level, canonical_amount
from metaads.graph.money import minor_unit
from strategies.lab.stage import Run

#: What a rule may raise a budget by at once.
STEP: Final = Decimal("1.2")
_FIGURES: Final = ("spend", "conversions", "conversion_value")
_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Figures:
    """What is known of an ad set over some days; conversions and value are those told by now."""

    spend: Decimal
    conversions: Decimal
    value: Decimal


class Desk:
    """What a policy sees at one look, and what it may ask for."""

    def __init__(self, run: Run, day: int) -> None:
        self._run = run
        self.run, self.day = run, day
        plan = run.stage.plan
        self.target_cpa = Decimal(str(plan.target_cpa))
        self.margin = Decimal(str(plan.margin))
        self.budget = Decimal(str(plan.budget))

    @cached_property
    def ad_sets(self) -> list[ObjectRow]:
        """The account's ad sets, as read last, by id."""
        rows = structure(ad_account=self._run.account)
        return sorted((row for row in rows if row.level is Level.AD_SET), key=lambda row: row.meta_id)

    @property
    def running(self) -> list[ObjectRow]:
        return [row for row in self.ad_sets if row.status == "ACTIVE"]

    def figures(self, days: int) -> Mapping[str, Figures]:
        """The last `days` full days, by ad set; 0 days is today so far."""
        today = analytics.account_today(self._run.account, self._run.now)
        since, until = (
            (today, today) if not days else (today - timedelta(days=days), today - timedelta(days=1))
        )
        found = analytics.table(
            self._run.account,
            level="adset",
            since=since,
            until=until,
            object_ids=[row.meta_id for row in self.ad_sets],
            metrics=_FIGURES,
            now=self._run.now,
        )
        return {
            row.object_id: Figures(*(row.values[name] or _ZERO for name in _FIGURES)) for row in found.rows
        }

    def pause(self, row: ObjectRow, reason: str) -> None:
        self._run.file(object_id=row.meta_id, what=Field.STATUS, target="PAUSED", reason=reason)

    def move_towards(self, wanted: Mapping[str, Decimal], reason: str) -> None:
        """Ask for these budgets, as far as one step allows: cuts first, then raises of a fifth at most, in the order
        given, as long as all budgets together stay at those of day 0."""
        unit = minor_unit(self._run.account.currency)
        least = self._run.account.min_daily_budget or unit
        have = {row.meta_id: row.daily_budget or _ZERO for row in self.running}
        after = dict(have)
        for one, amount in wanted.items():
            if amount < have[one]:
                after[one] = max(least, amount.quantize(unit, ROUND_FLOOR))
        left = self.budget - sum(after.values(), _ZERO)
        for one, amount in wanted.items():
            if amount > have[one]:
                rise = min(amount, have[one] * STEP, have[one] + max(left, _ZERO)).quantize(unit, ROUND_FLOOR)
                left -= max(rise - have[one], _ZERO)
                after[one] = max(rise, have[one])
        cuts = [one for one in after if after[one] < have[one]]
        raises = [one for one in wanted if after[one] > have[one]]
        for some in (cuts, raises):
            for one in some:
                self._run.file(
                    object_id=one, what=Field.DAILY_BUDGET, target=canonical_amount(after[one]), reason=reason
                )
            if some is cuts and cuts and raises:
                self._run.carry()  # what is cut makes room under the account's limit
