"""What is asked of Meta about an account's rows, and how a question that is too large is cut in two. PURE.

    days -> campaigns -> ad sets -> ads -> fields

Days first, since they halve the answer whatever the account looks like. Objects are cut into `IN` some and `NOT_IN`
those same, so that the two parts hold everything even when we do not know every object. A level is never cut by
objects below it: the part of a campaign that two of its ads make has no reach of its own. Fields come last, since
rows of two moments are put together then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import insights.windows as days_of
from insights.attribution import DEFAULT, FETCHED
from insights.rows import HOUR, IDS
from insights.windows import Period
from metaads.graph.fields import INSIGHTS, INSIGHTS_AD

#: Read together and stored together, so that parts and whole come from the same minute.
LEVELS: Final = ("ad", "adset", "campaign", "account")
#: "default" first: `value` is the account's own window, the rest is kept beside it.
ATTRIBUTION: Final = (DEFAULT, *FETCHED)
#: Without a status filter Meta leaves out what is archived or deleted, and the parts no longer add up.
STATUSES: Final = (
    "ACTIVE", "PAUSED", "ARCHIVED", "DELETED", "CAMPAIGN_PAUSED", "ADSET_PAUSED", "PENDING_REVIEW", "DISAPPROVED",
    "PREAPPROVED", "PENDING_BILLING_INFO", "IN_PROCESS", "WITH_ISSUES",
)  # fmt: skip
_HOUR_FIELDS: Final = (
    "account_id", "campaign_id", "date_start", "date_stop", "spend", "impressions", "clicks", "inline_link_clicks",
)  # fmt: skip
#: Never cut away: they say whose row it is, and of which day.
_NAMES: Final = frozenset({*IDS.values(), "date_start", "date_stop"})
#: Which objects a level's question may be cut by, the widest first.
_CUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "account": (),
    "campaign": ("campaign",),
    "adset": ("campaign", "adset"),
    "ad": ("campaign", "adset", "ad"),
}

#: A synchronous read by these may be empty where an admin has not opted in; a report never is (docs/meta.md, 5.5).
BY_REPORT: Final = frozenset({"impression_device"})

Cut = Literal["days", "objects", "fields"]


@dataclass(frozen=True)
class Condition:
    """Rows of objects that are among (`IN`), or not among (`NOT_IN`), these ids of a level."""

    level: str
    operator: str
    ids: tuple[str, ...]

    def holds(self, object_id: str) -> bool:
        return (object_id in self.ids) == (self.operator == "IN")


@dataclass(frozen=True)
class Question:
    """One account-wide read: a level, account days, fields, breakdowns and attribution windows."""

    level: str
    period: Period
    fields: tuple[str, ...]
    breakdowns: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    time_increment: int | str = 1

    @property
    def kind(self) -> str:
        """The grain of its rows: day, hour."""
        return "hour" if HOUR in self.breakdowns else "day"

    @property
    def cells(self) -> str:
        """What its rows are parted by beside the hour, as slices name it."""
        return ",".join(name for name in self.breakdowns if name != HOUR)

    def words(self) -> dict[str, Any]:
        """As `GraphClient.insights` and `tokens.start_report` take it."""
        filtering: list[dict[str, Any]] = []
        if self.level != "account":
            filtering.append(
                {"field": f"{self.level}.effective_status", "operator": "IN", "value": list(STATUSES)}
            )
        filtering += [
            {"field": f"{one.level}.id", "operator": one.operator, "value": list(one.ids)}
            for one in self.conditions
        ]
        return {
            "level": self.level,
            "since": self.period.since,
            "until": self.period.until,
            "fields": self.fields,
            "time_increment": self.time_increment,
            "breakdowns": self.breakdowns,
            "windows": self.windows,
            "filtering": filtering,
        }


def of_days(level: str, period: Period) -> Question:
    """A level's rows of these days, with everything that is kept of them."""
    return Question(level, period, INSIGHTS_AD if level == "ad" else INSIGHTS, windows=ATTRIBUTION)


def of_hours(level: str, period: Period) -> Question:
    """A level's rows by hour of the account's zone."""
    return Question(level, period, _HOUR_FIELDS, breakdowns=(HOUR,))


def of_cells(level: str, period: Period, breakdowns: tuple[str, ...]) -> Question:
    """A level's rows of these days, parted by breakdowns."""
    return Question(level, period, INSIGHTS, breakdowns, ATTRIBUTION)


def about(question: Question, period: Period) -> Question:
    """The same question about other days."""
    return replace(question, period=period)


def of_reach(level: str, period: Period) -> Question:
    """De-duplicated people over the whole period."""
    return Question(level, period, (IDS[level], "reach"), time_increment="all_days")


@dataclass(frozen=True)
class Tree:
    """An account's objects as far as they are known: (campaign, ad set, ad) ids, "" where there is nothing below."""

    paths: tuple[tuple[str, str, str], ...] = ()

    def among(self, level: str, conditions: Iterable[Condition]) -> list[str]:
        """The ids of a level that meet the conditions, in order."""
        place = {"campaign": 0, "adset": 1, "ad": 2}
        told = tuple(conditions)
        found = {
            path[place[level]]
            for path in self.paths
            if path[place[level]] and all(one.holds(path[place[one.level]]) for one in told)
        }
        return sorted(found)


def cut(question: Question, tree: Tree) -> tuple[Cut, tuple[Question, Question]] | None:
    """Two questions whose answers make up this one's; None when it cannot be made smaller."""
    if question.period.days > 1:
        new, old = days_of.halves(question.period)
        return "days", (replace(question, period=new), replace(question, period=old))
    for level in _CUTS[question.level]:
        ids = tree.among(level, question.conditions)
        if len(ids) > 1:
            some = tuple(ids[: len(ids) // 2])
            inside, outside = (
                replace(question, conditions=(*question.conditions, Condition(level, operator, some)))
                for operator in ("IN", "NOT_IN")
            )
            return "objects", (inside, outside)
    names = tuple(name for name in question.fields if name in _NAMES)
    asked = tuple(name for name in question.fields if name not in _NAMES)
    if len(asked) > 1:
        middle = len(asked) // 2
        left, right = (replace(question, fields=(*names, *part)) for part in (asked[:middle], asked[middle:]))
        return "fields", (left, right)
    return None


def joined(question: Question, parts: Iterable[Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of questions that were cut by fields, put together by object, day and breakdown."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for part in parts:
        for row in part:
            names = (IDS[question.level], "date_start", *question.breakdowns)
            found.setdefault(tuple(str(row.get(name, "")) for name in names), {}).update(row)
    return list(found.values())


def packed(question: Question) -> dict[str, Any]:
    """The question as JSON, for its row."""
    return {
        "level": question.level,
        "since": question.period.since.isoformat(),
        "until": question.period.until.isoformat(),
        "fields": list(question.fields),
        "breakdowns": list(question.breakdowns),
        "windows": list(question.windows),
        "conditions": [[one.level, one.operator, list(one.ids)] for one in question.conditions],
    }


def unpacked(raw: Mapping[str, Any]) -> Question:
    """What `packed` wrote."""
    return Question(
        level=raw["level"],
        period=Period(days_of.day(raw["since"]), days_of.day(raw["until"])),
        fields=tuple(raw["fields"]),
        breakdowns=tuple(raw["breakdowns"]),
        windows=tuple(raw["windows"]),
        conditions=tuple(
            Condition(level, operator, tuple(ids)) for level, operator, ids in raw["conditions"]
        ),
    )
