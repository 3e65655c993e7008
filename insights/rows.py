"""One insights row of Meta, read into numbers: scalars come as strings, what is missing of an asked field is 0.

Additive columns are whole numbers as they are stored: micro-units for money and actions, plain counts else.
PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

import msgspec

from insights.attribution import FETCHED
from insights.errors import BadRow
from insights.metrics import ADDITIVE, FAMILIES, RANKINGS, VALUES

HOUR: Final = "hourly_stats_aggregated_by_advertiser_time_zone"
#: Meta's name of the object's id at each level.
IDS: Final[Mapping[str, str]] = {
    "account": "account_id",
    "campaign": "campaign_id",
    "adset": "adset_id",
    "ad": "ad_id",
}
_COUNTS: Final = {"impressions": "impressions", "clicks": "clicks", "link_clicks": "inline_link_clicks"}
#: Columns that Meta answers as a list of one action type.
_LISTS: Final = {
    "outbound_clicks": "outbound_clicks",
    "video_plays": "video_play_actions",
    "video_p25": "video_p25_watched_actions",
    "video_p50": "video_p50_watched_actions",
    "video_p75": "video_p75_watched_actions",
    "video_p100": "video_p100_watched_actions",
    "thruplays": "video_thruplay_watched_actions",
}
#: Meta's default attribution: seven days after a click, one day after a view (docs/meta.md, section 5.1).
DEFAULT_WINDOWS: Final = ("7d_click", "1d_view")
_WINDOWS: Final = ("value", *FETCHED)
_MICRO: Final = Decimal(1_000_000)
_MOST: Final = 2**63 - 1
_NO_ACTIONS: Final = "{}"
_ABSENT: Final = object()
_NOTHING: Final[Mapping[str, Mapping[str, str]]] = {}
#: Where a column's number stands among a row's values.
_PLACE: Final = {name: place for place, name in enumerate(ADDITIVE)}
#: Action type -> its column, which of the column's types it is (the first that a row has counts), and the column of
#: its worth.
_KINDS: Final = {
    kind: (_PLACE[column], rank, _PLACE[VALUES[column]] if column in VALUES else -1)
    for column, kinds in FAMILIES.items()
    for rank, kind in enumerate(kinds)
}
_COUNTED: Final = tuple((_PLACE[column], name) for column, name in _COUNTS.items())
_LISTED: Final = tuple((_PLACE[column], name) for column, name in _LISTS.items())
_ITEMS: Final = list[dict[str, str]]
_SORTED: Final = msgspec.json.Encoder(order="sorted")


class Row(msgspec.Struct, frozen=True, gc=False):
    """One object on one account day (or in one of its hours; `hour` -1: the whole day).

    `values` follow `metrics.ADDITIVE`; `reach` is None where Meta cannot know it; `actions` is canonical
    JSON of every action type and window, and of the rankings that Meta gave.
    """

    level: str
    object_id: str
    campaign_id: str
    adset_id: str
    day: date
    hour: int
    breakdown: str
    values: tuple[int, ...]
    reach: int | None
    actions: str

    @property
    def key(self) -> tuple[str, str, date, int, str]:
        return (self.level, self.object_id, self.day, self.hour, self.breakdown)


def spend(row: Row) -> Decimal:
    """In major units of the account's currency."""
    return Decimal(row.values[_PLACE["spend"]]) / _MICRO


def read(row: Mapping[str, Any], *, level: str, breakdowns: Sequence[str] = ()) -> Row:
    """The row of one day, or of one hour or cell where those breakdowns were asked for; raises `BadRow`."""
    try:
        day = date.fromisoformat(row["date_start"])
        if row.get("date_stop", row["date_start"]) != row["date_start"]:
            raise BadRow("A row covers more than one day.")
        object_id = _id(row[IDS[level]])
    except (KeyError, TypeError, ValueError):
        raise BadRow(f"A {level} row has no id or no date.") from None
    hour = _hour(row.get(HOUR))
    counts, amounts = _lists(row.get("actions")), _lists(row.get("action_values"))
    values = [0] * len(_PLACE)
    values[0] = _micro(row.get("spend", 0))
    for place, name in _COUNTED:
        values[place] = _whole(row.get(name, 0))
    for place, name in _LISTED:
        if (items := row.get(name)) is not None:
            values[place] = sum(map(_default, _lists(items).values()))
    _families(values, counts, amounts)
    return Row(
        level=level,
        object_id=object_id,
        campaign_id=_id(row["campaign_id"]) if level != "account" and row.get("campaign_id") else "",
        adset_id=_id(row["adset_id"]) if level in ("adset", "ad") and row.get("adset_id") else "",
        day=day,
        hour=hour,
        breakdown=cell(row, breakdowns),
        values=tuple(values),
        reach=_reach(row, hour, breakdowns),
        actions=_canonical(counts, amounts, {} if breakdowns else _rankings(row)),
    )


def _families(
    values: list[int], counts: Mapping[str, Mapping[str, str]], amounts: Mapping[str, Mapping[str, str]]
) -> None:
    """Each family's number comes from the first of its action types that the row has: they count the same thing."""
    first: dict[int, tuple[int, str, int]] = {}
    for kinds in (counts, amounts):
        for kind in kinds:
            known = _KINDS.get(kind)
            if known is None:
                continue
            for window in _WINDOWS:  # each is a number of its own (`attribution`), whichever is shown
                if window in kinds[kind]:
                    _micro(kinds[kind][window])
            column, rank, worth = known
            if column not in first or rank < first[column][0]:
                first[column] = (rank, kind, worth)
    for column, (_, kind, worth) in first.items():
        values[column] = _default(counts.get(kind))
        if worth >= 0:
            values[worth] = _default(amounts.get(kind))


def cell(row: Mapping[str, Any], breakdowns: Sequence[str]) -> str:
    """Which cell of a breakdown a row is: `age=25-34|gender=female`, in the order of the breakdowns; "" is the total.
    A value that Meta leaves out is `unknown`."""
    parts = []
    for name in breakdowns:
        if name == HOUR:
            continue
        value = str(row.get(name) or "unknown")
        if len(value) > 60 or not value.isprintable() or set(value) & set("|="):
            raise BadRow(f"The {name} of a row is no name.")
        parts.append(f"{name}={value}")
    return "|".join(parts)


def reach(row: Mapping[str, Any], *, level: str) -> tuple[str, int]:
    """Object and reach of a period row; raises `BadRow`."""
    try:
        return _id(row[IDS[level]]), _whole(row.get("reach", 0))
    except KeyError:
        raise BadRow(f"A {level} row has no id.") from None


def _reach(row: Mapping[str, Any], hour: int, breakdowns: Sequence[str]) -> int | None:
    """Meta cannot know it by hour, and leaves it out of old cells. Left out of a total it is 0 where nothing was shown,
    and not known where something was: that somebody saw."""
    people = row.get("reach", _ABSENT)
    if hour >= 0 or (people is _ABSENT and (breakdowns or _whole(row.get("impressions", 0)))):
        return None
    return 0 if people is _ABSENT else _whole(people)


def _id(value: object) -> str:
    return _checked_id(str(value))


@lru_cache(maxsize=65_536)  # the same few thousand objects on every day
def _checked_id(text: str) -> str:
    if not text.isascii() or not text.isdigit() or len(text) > 40:
        raise BadRow("An id is not a number.")
    return text


def _hour(label: object) -> int:
    # "13:00:00 - 13:59:59"; a day without impressions may come as one row without the label.
    if label is None:
        return -1
    text = str(label)[:2]
    if not text.isdigit() or int(text) > 23:
        raise BadRow("An hour is not between 00 and 23.")
    return int(text)


def _number(value: object) -> Decimal:
    if isinstance(value, bool):
        raise BadRow("A number is not a number.")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise BadRow("A number is not a number.") from None
    if not number.is_finite():
        raise BadRow("A number is endless.")
    return number


def _micro(value: object) -> int:
    return _micro_of(value if isinstance(value, str) else _number(value))


@lru_cache(maxsize=65_536)  # most are small counts, and the same in many rows
def _micro_of(value: str | Decimal) -> int:
    if isinstance(value, str) and len(value) <= 18 and value.isascii():
        # Nearly every number: plain digits, or money with a few of them behind the point.
        whole, point, part = value.partition(".")
        if whole.isdigit() and (part.isdigit() if point else True) and len(whole) <= 12 and len(part) <= 6:
            return int(whole) * 1_000_000 + int(part.ljust(6, "0"))
    number = _number(value)  # money that was credited back is below nothing, and is kept so
    if abs(number) > _MOST / _MICRO:
        raise BadRow("A number is too large.")
    return int((number * _MICRO).to_integral_value(ROUND_HALF_UP))


def _default(windows: Mapping[str, str] | None) -> int:
    """The account's default window; Meta's pages leave open whether `value` always comes beside others."""
    if windows is None:
        return 0
    if "value" in windows:
        return _micro(windows["value"])
    return sum(_micro(windows.get(name, 0)) for name in DEFAULT_WINDOWS)


def _whole(value: object) -> int:
    if isinstance(value, str) and len(value) <= 18 and value.isascii() and value.isdigit():
        return int(value)
    number = _number(value)
    if number != number.to_integral_value() or not 0 <= number <= _MOST:
        raise BadRow("A count is not a whole number.")
    return int(number)


def _lists(items: object) -> Mapping[str, Mapping[str, str]]:
    """`[{"action_type": "lead", "value": "3", ...}]` by type; the later of two equal types is not believed."""
    if items is None:
        return _NOTHING
    found: dict[str, dict[str, str]] = {}
    try:
        for item in msgspec.convert(items, _ITEMS):  # new ones, so that the page stays as it came
            found.setdefault(item.pop("action_type"), item)
        return found
    except (msgspec.ValidationError, KeyError):
        found.clear()  # something else than texts: looked at one by one
    if not isinstance(items, list):
        raise BadRow("Actions are not a list.")
    for item in items:
        if not isinstance(item, dict) or "action_type" not in item:
            raise BadRow("An action has no type.")
        windows = {str(key): str(value) for key, value in item.items() if key != "action_type"}
        found.setdefault(str(item["action_type"]), windows)
    return found


def _rankings(row: Mapping[str, Any]) -> dict[str, str]:
    """Meta's words. One that nobody knows yet is kept; UNKNOWN says that there is none."""
    words = {name: str(row[name])[:40] for name in RANKINGS if row.get(name)}
    return {name: word for name, word in words.items() if word != "UNKNOWN"}


def _canonical(
    counts: Mapping[str, object], amounts: Mapping[str, object], rankings: Mapping[str, str]
) -> str:
    if not counts and not amounts and not rankings:
        return _NO_ACTIONS
    kept = {"actions": counts, "action_values": amounts, "rankings": rankings}
    try:
        text = _SORTED.encode({name: part for name, part in kept.items() if part}).decode()
    except UnicodeEncodeError:
        raise BadRow("An action's name is no text.") from None
    # PostgreSQL's jsonb has no NUL; an action type never has one, so a row that does is not believed.
    if "\\u0000" in text:
        raise BadRow("An action's name holds a NUL.")
    return text
