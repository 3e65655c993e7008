"""PURE: a row of the Graph API -> a frozen value with our names and units.

Budgets arrive as text in minor units and leave as `Decimal` in major units; in a currency that Meta's table does
not list they are None. A word that we do not know is kept as it is, an amount that cannot be read is None, and
either flags its object (`known` False): it is shown, and left alone by rules. Source: docs/meta.md, sections 6.2
to 6.7, 6.9, 6.10.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import metaads.graph.money as money
from campaigns.states import Field, Level, canonical_amount, canonical_moment

STATUSES: Final = frozenset({"ACTIVE", "PAUSED", "ARCHIVED", "DELETED"})
#: Nothing can be done to such an object any more.
GONE: Final = frozenset({"ARCHIVED", "DELETED"})
LEARNING: Final = frozenset({"", "LEARNING", "SUCCESS", "FAIL"})
BUDGETS: Final = ("daily_budget", "lifetime_budget")
EFFECTIVE: Final = frozenset(
    {
        "ACTIVE",
        "ADSET_PAUSED",
        "ARCHIVED",
        "CAMPAIGN_PAUSED",
        "DELETED",
        "DISAPPROVED",
        "IN_PROCESS",
        "PAUSED",
        "PENDING_BILLING_INFO",
        "PENDING_REVIEW",
        "PREAPPROVED",
        "WITH_ISSUES",
    }
)


class Malformed(ValueError):
    """A row without what makes it a row (its id, or the id of what it belongs to)."""


@dataclass(frozen=True)
class CampaignRow:
    meta_id: str
    name: str
    status: str
    effective_status: str
    known: bool
    daily_budget: Decimal | None
    lifetime_budget: Decimal | None
    bid_strategy: str
    objective: str
    buying_type: str
    start_time: datetime | None
    end_time: datetime | None
    created_time: datetime | None
    updated_time: datetime | None


@dataclass(frozen=True)
class AdSetRow:
    meta_id: str
    campaign_id: str
    name: str
    status: str
    effective_status: str
    known: bool
    daily_budget: Decimal | None
    lifetime_budget: Decimal | None
    bid_strategy: str
    bid_amount: Decimal | None
    optimization_goal: str
    conversion_event: str
    billing_event: str
    learning_stage: str
    start_time: datetime | None
    end_time: datetime | None
    created_time: datetime | None
    updated_time: datetime | None


@dataclass(frozen=True)
class AdRow:
    meta_id: str
    campaign_id: str
    ad_set_id: str
    creative_id: str
    name: str
    status: str
    effective_status: str
    known: bool
    created_time: datetime | None
    updated_time: datetime | None


@dataclass(frozen=True)
class CreativeRow:
    meta_id: str
    name: str
    status: str
    known: bool
    title: str
    body: str
    object_type: str
    call_to_action: str
    thumbnail_url: str
    image_url: str


ObjectRow = CampaignRow | AdSetRow | AdRow | CreativeRow


@dataclass(frozen=True)
class ActivityRow:
    """One line of Meta's activity log. `key` tells it again; values are canonical text, "" when not told."""

    key: str
    at: datetime
    event_type: str
    actor_id: str
    application_id: str
    object_id: str
    level: Level | None
    field: Field | None
    before: str
    after: str


def campaign(row: Mapping[str, Any], *, currency: str) -> CampaignRow:
    status, effective, known = _statuses(row)
    return CampaignRow(
        meta_id=_id(row, "id"),
        name=text(row.get("name"), 400),
        status=status,
        effective_status=effective,
        known=known and _legible(row, BUDGETS, currency),
        daily_budget=amount(row.get("daily_budget"), currency),
        lifetime_budget=amount(row.get("lifetime_budget"), currency),
        bid_strategy=text(row.get("bid_strategy"), 60),
        objective=text(row.get("objective"), 60),
        buying_type=text(row.get("buying_type"), 40),
        start_time=moment(row.get("start_time")),
        end_time=moment(row.get("stop_time")),
        created_time=moment(row.get("created_time")),
        updated_time=moment(row.get("updated_time")),
    )


def ad_set(row: Mapping[str, Any], *, currency: str) -> AdSetRow:
    status, effective, known = _statuses(row)
    learning, promoted = row.get("learning_stage_info"), row.get("promoted_object")
    stage = text(learning.get("status"), 40) if isinstance(learning, Mapping) else ""
    return AdSetRow(
        meta_id=_id(row, "id"),
        campaign_id=_id(row, "campaign_id"),
        name=text(row.get("name"), 400),
        status=status,
        effective_status=effective,
        known=known and stage in LEARNING and _legible(row, (*BUDGETS, "bid_amount"), currency),
        daily_budget=amount(row.get("daily_budget"), currency),
        lifetime_budget=amount(row.get("lifetime_budget"), currency),
        bid_strategy=text(row.get("bid_strategy"), 60),
        bid_amount=amount(row.get("bid_amount"), currency),
        optimization_goal=text(row.get("optimization_goal"), 60),
        conversion_event=text(promoted.get("custom_event_type"), 60) if isinstance(promoted, Mapping) else "",
        billing_event=text(row.get("billing_event"), 60),
        learning_stage=stage,
        start_time=moment(row.get("start_time")),
        end_time=moment(row.get("end_time")),
        created_time=moment(row.get("created_time")),
        updated_time=moment(row.get("updated_time")),
    )


def ad(row: Mapping[str, Any], *, currency: str) -> AdRow:
    status, effective, known = _statuses(row)
    creative_of = row.get("creative")
    return AdRow(
        meta_id=_id(row, "id"),
        campaign_id=_id(row, "campaign_id"),
        ad_set_id=_id(row, "adset_id"),
        creative_id=text(creative_of.get("id"), 40) if isinstance(creative_of, Mapping) else "",
        name=text(row.get("name"), 400),
        status=status,
        effective_status=effective,
        known=known,
        created_time=moment(row.get("created_time")),
        updated_time=moment(row.get("updated_time")),
    )


def creative(row: Mapping[str, Any], *, currency: str) -> CreativeRow:
    status = text(row.get("status"), 40)
    return CreativeRow(
        meta_id=_id(row, "id"),
        name=text(row.get("name"), 400),
        status=status,
        known=status in ("", "ACTIVE", "IN_PROCESS", "WITH_ISSUES", "DELETED"),
        title=text(row.get("title"), 400),
        body=text(row.get("body"), 20_000),
        object_type=text(row.get("object_type"), 60),
        call_to_action=text(row.get("call_to_action_type"), 60),
        thumbnail_url=_https(row.get("thumbnail_url")),
        image_url=_https(row.get("image_url")),
    )


def value_of(row: Mapping[str, Any], field: Field, *, currency: str) -> str:
    """The field's value in canonical text; "" when the object does not have it (the budget lives elsewhere).

    Of an archived or deleted object there is nothing to say but that: every field reads as its status (`GONE`).
    """
    status = configured(row)
    if field is Field.STATUS or status in GONE:
        return status
    if field is Field.NAME:
        return text(row.get("name"), 400)
    if field.is_time:
        at = moment(row.get(field.value))
        return "" if at is None else canonical_moment(at)
    value = amount(row.get(field.value), currency)
    return "" if value is None else canonical_amount(value)


def configured(row: Mapping[str, Any]) -> str:
    """What somebody set; `status` and `configured_status` say the same (section 6.3)."""
    return text(row.get("status") or row.get("configured_status"), 40)


# What the activity log calls an edit -> whose, and of what. Only what a change can be about; section 6.10.
EVENTS: Final[Mapping[str, tuple[Level, Field | None]]] = {
    "update_campaign_budget": (Level.CAMPAIGN, Field.DAILY_BUDGET),
    "update_campaign_run_status": (Level.CAMPAIGN, Field.STATUS),
    "update_campaign_name": (Level.CAMPAIGN, Field.NAME),
    "create_campaign_group": (Level.CAMPAIGN, None),
    "update_ad_set_budget": (Level.AD_SET, Field.DAILY_BUDGET),
    "update_ad_set_run_status": (Level.AD_SET, Field.STATUS),
    "update_ad_set_bidding": (Level.AD_SET, Field.BID_AMOUNT),
    "update_ad_set_name": (Level.AD_SET, Field.NAME),
    "update_ad_set_duration": (Level.AD_SET, Field.END_TIME),
    "update_ad_set_bid_strategy": (Level.AD_SET, None),
    "create_ad_set": (Level.AD_SET, None),
    "update_ad_run_status": (Level.AD, Field.STATUS),
    "update_ad_name": (Level.AD, Field.NAME),
    "update_ad_creative": (Level.AD, None),
    "create_ad": (Level.AD, None),
}
_SPOKEN: Final = {"active": "ACTIVE", "inactive": "PAUSED", "paused": "PAUSED", "1": "ACTIVE", "15": "PAUSED"}


def activity(row: Mapping[str, Any], *, currency: str) -> ActivityRow | None:
    """One activity, or None for a row without time or event. `extra_data` is JSON inside a string."""
    at = moment(row.get("event_time"))
    event = text(row.get("event_type"), 100)
    if at is None or not event:
        return None
    level, field = EVENTS.get(event, (None, None))
    extra = _extra(row.get("extra_data"))
    if field is Field.DAILY_BUDGET and "lifetime" in json.dumps(extra):
        field = Field.LIFETIME_BUDGET
    if field is Field.END_TIME and extra.get("field") == Field.START_TIME:
        field = Field.START_TIME
    identity = json.dumps(
        [
            str(row.get(name, ""))
            for name in ("event_time", "event_type", "actor_id", "object_id", "extra_data")
        ]
    )
    return ActivityRow(
        key=hashlib.sha256(identity.encode()).hexdigest(),
        at=at,
        event_type=event,
        actor_id=text(row.get("actor_id"), 40),
        application_id=text(row.get("application_id"), 40),
        object_id=text(row.get("object_id"), 40),
        level=level,
        field=field,
        before=_spoken(extra.get("old_value"), field, currency),
        after=_spoken(extra.get("new_value"), field, currency),
    )


def _extra(value: object) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def _spoken(value: object, field: Field | None, currency: str) -> str:
    """A value of the activity log: statuses in Meta's spoken words, money in minor units."""
    if isinstance(value, Mapping):  # seen for budgets: {"old_value": {"amount": 5000, ...}}
        value = value.get("amount", value.get("value"))
    if value is None:
        return ""
    if field is Field.STATUS:
        word = text(value, 200)
        return _SPOKEN.get(word.strip().lower(), word.strip().upper())[:40]
    if field is not None and field.is_time:
        at = moment(int(value)) if isinstance(value, int | float) else moment(value)
        return "" if at is None else canonical_moment(at)
    if field is Field.NAME:
        return text(value, 400)
    if field is not None and field.is_money:
        found = amount(value, currency)
        return "" if found is None else canonical_amount(found)
    return text(value, 200)


def amount(value: object, currency: str) -> Decimal | None:
    """Minor units of the wire -> major units; None for absent, "0" (how Meta writes *no budget here*), odd text, less
    than nothing, and currencies without a known minor unit."""
    if not isinstance(value, int | str) or isinstance(value, bool):
        return None
    try:
        found = money.from_minor(value, currency)
    except money.MoneyError:
        return None
    return found if found > 0 else None


def legible(value: object, currency: str) -> bool:
    """Whether a money value says something: an amount, or that there is none. Where the minor unit is not known that
    is another trouble, with a guard of its own."""
    if value is None or value in ("0", 0) or amount(value, currency) is not None:
        return not isinstance(value, bool)
    return not money.known(currency)


def _legible(row: Mapping[str, Any], names: Iterable[str], currency: str) -> bool:
    return all(legible(row.get(name), currency) for name in names)


def moment(value: object) -> datetime | None:
    """`2026-11-21T10:15:30-0800` or unix seconds -> aware UTC; None for anything else and for the epoch."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
        elif isinstance(value, str) and value:
            found = datetime.fromisoformat(value)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    if found.tzinfo is None:
        return None
    found = found.astimezone(UTC)
    return found if found.year > 1971 else None


def text(value: object, most: int) -> str:
    """Text as it came, cut to `most` characters, without what cannot be stored: NUL (PostgreSQL) and half an emoji."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    return str(value).replace("\x00", "").encode("utf-8", "replace").decode("utf-8")[:most]


def _statuses(row: Mapping[str, Any]) -> tuple[str, str, bool]:
    status, effective = configured(row), text(row.get("effective_status"), 40)
    return status, effective, status in STATUSES and effective in EFFECTIVE


def _id(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    found = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not found.isdigit() or len(found) > 40:
        raise Malformed(f"a row without a usable {name}")
    return found


def _https(value: object) -> str:
    found = text(value, 2000)
    return found if found.startswith("https://") else ""
