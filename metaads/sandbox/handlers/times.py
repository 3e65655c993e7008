"""Times as Meta writes and reads them (reference 6.9)."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

from metaads.sandbox.errors import invalid


def text(moment: float, zone: str) -> str:
    """``2026-11-21T10:15:30-0800``: account offset, no colon."""
    return dt.datetime.fromtimestamp(int(moment), zoneinfo.ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S%z")


def parse(raw: Any, zone: str, *, field: str) -> float | None:
    """Unix seconds from ISO-8601 or a number; 0 and empty mean none. A text without an offset is in the
    account's zone.
    """
    if raw in (None, "", 0, "0"):
        return None
    if isinstance(raw, int | float) or str(raw).lstrip("-").isdigit():
        return float(raw)
    try:
        moment = dt.datetime.fromisoformat(str(raw))
    except ValueError:
        raise invalid(f"{field} must be an ISO-8601 time or unix seconds", field=field) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zoneinfo.ZoneInfo(zone))).timestamp()
