"""What came of a back-test's firings, as it is known by now: layers two and three, beside doing nothing.

firings ─> one read of the days of all objects (and of their level, where a budget moves) ─> what a result is worth
    ─> pauses: what the objects really did until they would run again, with marks for what disturbs that
    ─> budgets: the fitted response (`engine.aftermath`), a model
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import insights.analytics as analytics
import insights.windows as days_of
from campaigns.past import Step
from strategies.archive import Archive
from strategies.engine.aftermath import HORIZON, Day, afterwards, modelled
from strategies.engine.backtest import Firing
from strategies.engine.response import Days, Response, fit

#: So many firings are told with what followed.
MOST: Final = 1000
WORST: Final = 10
#: Days on which the response is fitted before the first instant, and how young a day is too young for it.
_LEARN: Final = timedelta(days=28)
_YOUNG: Final = timedelta(days=7)
_METRICS: Final = ("spend", "conversions", "conversion_value")
_BUDGETS: Final = frozenset({"daily_budget", "lifetime_budget"})


class Aftermath:
    """Layers two and three: what is known by now of the objects that it would have acted on."""

    def __init__(
        self, archive: Archive, firings: Sequence[Firing], *, since: date, until: date, now: datetime
    ) -> None:
        self._archive, self._firings, self._since, self._now = archive, firings, since, now
        self._zone = archive.ad_account.timezone_name
        self._today = days_of.today(now, self._zone)
        self._through = min(self._today - days_of.DAY, until + days_of.DAY * HORIZON)
        self._read()
        self._found = [self._of(number) for number in range(min(len(firings), MOST))]

    def of(self, number: int) -> dict[str, Any]:
        return self._found[number]

    def _read(self) -> None:
        """The days of every object that is looked at, level by level, and what a result is worth."""
        tree = self._archive.tree
        acted: dict[str, set[str]] = {}
        for firing in self._firings:
            acted.setdefault(firing.level, set()).add(firing.object_id)
        moved = {firing.level for firing in self._firings if firing.field in _BUDGETS}
        raw: dict[str, dict[str, dict[date, Mapping[str, Decimal | None]]]] = {}
        for level, ids in acted.items():
            # The response of one object is shrunk to that of its account, so all of its level are needed.
            every = (
                {row.meta_id for row in tree.rows if row.level.value == level} if level in moved else set()
            )
            table = analytics.days(
                self._archive.ad_account,
                level=level,
                object_ids=sorted(ids | every),
                since=self._since - _LEARN,
                until=self._through,
                metrics=_METRICS,
                now=self._now,
            )
            nothing = {"spend": Decimal(0), "conversions": Decimal(0), "conversion_value": Decimal(0)}
            raw[level] = {
                one: {day: table.values.get(one, {}).get(day, nothing) for day in sorted(table.read)}
                for one in ids | every
            }
        worth = self._archive.ad_account.client.target_cpa
        lit = any(
            day.get("conversion_value")
            for objects in raw.values()
            for days in objects.values()
            for day in days.values()
        )
        self.worth = "value" if lit else "target_cpa" if worth is not None else "unknown"
        self._days = {
            level: {
                one: {day: self._day(values, worth) for day, values in days.items()}
                for one, days in objects.items()
            }
            for level, objects in raw.items()
        }
        self._responses = {level: self._fitted(self._days[level]) for level in moved}

    def _day(self, values: Mapping[str, Decimal | None], cpa: Any) -> Day:
        results, value = values["conversions"], values["conversion_value"]
        if self.worth == "target_cpa":
            value = None if results is None else results * Decimal(cpa)
        return Day(values["spend"] or Decimal(0), results, None if self.worth == "unknown" else value)

    def _fitted(self, objects: Mapping[str, Mapping[date, Day]]) -> dict[str, Response]:
        newest = self._today - _YOUNG
        series = []
        for days in objects.values():
            lit = [one for day, one in days.items() if day <= newest and one.value is not None]
            spend, value = [float(one.spend) for one in lit], [float(one.value or 0) for one in lit]
            series.append(Days(spend, value, [1.0] * len(lit)))
        return dict(zip(objects, fit(series), strict=True)) if series else {}

    def _of(self, number: int) -> dict[str, Any]:
        firing = self._firings[number]
        kind = "pause" if firing.target == "PAUSED" else "budget" if firing.field in _BUDGETS else ""
        if not kind:
            return {"after": None, "model": None}
        day = days_of.today(firing.at, self._zone)
        until = self._until(number, day)
        days = self._days[firing.level].get(firing.object_id, {})
        seen = afterwards(days, after=day, until=until)
        marks = self._marks(firing, until)
        told: dict[str, Any] = {
            "since": day_text(seen.since),
            "until": day_text(seen.until),
            "days": seen.days,
            "spend": text_of(seen.spend),
            "results": text_of(seen.results),
            "value": text_of(seen.value),
            "net": text_of(seen.net),
            "marks": marks,
            "exact": not marks,
        }
        if kind == "pause":
            return {"after": told, "model": None}
        response = self._responses.get(firing.level, {}).get(firing.object_id)
        before = Decimal(firing.before) if firing.before else Decimal(0)
        found = (
            modelled(days, after=day, until=until, times=Decimal(firing.target) / before, response=response)
            if response and before and self.worth != "unknown"
            else None
        )
        model = {name: text_of(value) for name, value in asdict(found).items()} if found else None
        return {"after": told, "model": model}

    def _until(self, number: int, day: date) -> date:
        """The last full day of what the firing did: until the next of its field, the pause's end, or the horizon."""
        firing = self._firings[number]
        ends = [self._through, day + days_of.DAY * HORIZON]
        if firing.until is not None:
            ends.append(days_of.today(firing.until, self._zone) - days_of.DAY)
        for later in self._firings[number + 1 :]:
            same = later.object_id == firing.object_id and not later.notice
            if same and (later.field == firing.field or later.target == "PAUSED"):
                ends.append(days_of.today(later.at, self._zone) - days_of.DAY)
                break
        return min(ends)

    def _marks(self, firing: Firing, until: date) -> list[str]:
        """Why what happened afterwards is not simply what the rule would have changed."""
        row = next((one for one in self._archive.tree.rows if one.meta_id == firing.object_id), None)
        family = {firing.object_id, *((row.campaign_id, row.parent_id) if row else ())} - {""}
        end = days_of.starts(until + days_of.DAY, self._zone)
        steps: list[Step] = [
            step
            for step in self._archive.tree.steps
            if step.object_id in family and firing.at < step.at <= end
        ]
        found = []
        if any(step.field == "status" and step.after == "PAUSED" for step in steps):
            found.append("really_paused")
        if any(step.field != "status" or step.after != "PAUSED" for step in steps):
            found.append("really_edited")
        if until > self._today - days_of.DAY * days_of.LOOKBACK:
            found.append("may_still_move")
        return found

    def beside_nothing(self) -> dict[str, Any]:
        """The account as it was, and with the rule: its pauses taken out exactly, its budgets by the model."""
        whole = analytics.totals(
            self._archive.ad_account, since=self._since, until=self._through, metrics=_METRICS, now=self._now
        )
        firings = self._firings[:MOST]
        pauses = [
            told["after"]
            for firing, told in zip(firings, self._found, strict=True)
            if firing.target == "PAUSED"
        ]
        models = [told["model"] for told in self._found if told["model"]]
        without = {
            name: text_of(sum((Decimal(one[name]) for one in pauses if one[name] is not None), Decimal(0)))
            for name in ("spend", "results", "value")
        }
        return {
            "since": self._since.isoformat(),
            "until": self._through.isoformat(),
            "trust": whole.header.trust.state,
            "worth": self.worth,
            "nothing": {
                "spend": text_of(whole.values["spend"]),
                "results": text_of(whole.values["conversions"]),
                "value": text_of(whole.values["conversion_value"]),
            },
            "not_spent_by_pauses": without,
            "model_of_budgets": {
                name: text_of(sum((Decimal(one[name]) for one in models), Decimal(0)))
                for name in ("low", "likely", "high")
            }
            if models
            else None,
        }

    def worst(self) -> list[dict[str, Any]]:
        """The decisions that would have cost most: value less spend that a pause gave up, or a budget by the model."""
        cost = []
        for number, told in enumerate(self._found):
            firing = self._firings[number]
            if firing.target == "PAUSED" and told["after"]["net"] is not None:
                cost.append((Decimal(told["after"]["net"]), number))
            elif told["model"]:
                cost.append((-Decimal(told["model"]["likely"]), number))
        ranked = sorted((one for one in cost if one[0] > 0), key=lambda one: (-one[0], one[1]))
        return [
            {"firing": number, "cost": text_of(amount), "model": self._firings[number].target != "PAUSED"}
            for amount, number in ranked[:WORST]
        ]


def text_of(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


def day_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
