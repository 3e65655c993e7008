"""Planted objects and snapshots for the engine's tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from strategies.engine.types import LAST_7_DAYS, Snapshot, Subject, Trust

NOW = datetime(2026, 11, 19, 9, 0, tzinfo=UTC)


def subject(object_id: str = "10", **given: Any) -> Subject:
    """A running ad set with its own daily budget of 50; figures by name (`ctr="0.41"`), `None` for unknown."""
    values: dict[str, Decimal | None] = {
        "impressions": Decimal(12310),
        "spend": Decimal("48.20"),
        "ctr": Decimal("1.00"),
        "cpc": Decimal("0.50"),
        "cpm": Decimal("4.00"),
    }
    for name in [*values, "clicks", "conversions", "roas", "cpa", "frequency"]:
        if name in given:
            raw = given.pop(name)
            values[name] = None if raw is None else Decimal(raw)
    facts: dict[str, Any] = {
        "level": "adset",
        "name": f"Ad set {object_id}",
        "parent_id": "1",
        "status": "ACTIVE",
        "effective_status": "ACTIVE",
        "daily_budget": Decimal("50"),
        "lifetime_budget": None,
        "owns_budget": True,
        "learning_stage": "SUCCESS",
        "start": None,
        "end": None,
    }
    return Subject(object_id=object_id, values={LAST_7_DAYS: values}, **{**facts, **given})


def snapshot(*subjects: Subject, **given: Any) -> Snapshot:
    facts: dict[str, Any] = {
        "currency": "USD",
        "minor_unit": Decimal("0.01"),
        "zone": "America/New_York",
        "since": date(2026, 11, 12),
        "until": date(2026, 11, 18),
        "data_version": 3,
        "as_of": NOW,
        "trust": Trust.READY,
        "trust_reasons": (),
    }
    return Snapshot(subjects=subjects, **{**facts, **given})
