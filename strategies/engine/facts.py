"""Facts of an object: what it is called and is, how old it is, what the account's clock says; no figures of delivery.

| fact | asked as |
|---|---|
| name, status, effective_status, learning_stage, objective, bid_strategy | text: is, contains, starts_with, in |
| level, budget_level, budget_kind, weekday, paused_by_this_strategy | one of fixed words: is, in |
| age_days, hour, daily_budget, lifetime_budget, bid_amount | a number |
| spend_share | a number (percent), with `of` and `window` |

Texts are compared without regard to capitals. `budget_level` is where the budget lies that the object spends, as far
as its own object says: "own", "above" or "none". Hour and weekday are those of the account's zone. PURE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from strategies.engine import spans
from strategies.engine.grammar import BAD, Amount, Many, Reader, Record, Shape, Text, Word, join
from strategies.engine.rules import OPERATORS, WHOSE, FactIn, FactIs, FactNumber, Share
from strategies.engine.types import LAST_7_DAYS, Snapshot, Subject

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
YES, NO = "yes", "no"
SHARE: Final = "spend_share"
#: Of one text.
TEXT_OPERATORS: Final[Mapping[str, str]] = {"is": "is", "contains": "contains", "starts_with": "starts with"}
IN: Final = "in"
_NO_PATTERNS: Final = "patterns are not taken; use contains, starts_with, or several texts with in"
REFUSED: Final = dict.fromkeys(("matches", "regex", "regexp", "like"), _NO_PATTERNS)


@dataclass(frozen=True)
class Fact:
    """`words`: the only ones there are; empty for free text. `most` for numbers; `unit` as for metrics."""

    label: str
    words: tuple[str, ...] = ()
    most: Decimal | None = None
    unit: str = ""

    @property
    def is_number(self) -> bool:
        return self.most is not None


_MONEY: Final = Decimal(10) ** 12
FACTS: Final[Mapping[str, Fact]] = {
    "level": Fact("level", ("campaign", "adset", "ad")),
    "name": Fact("name"),
    "status": Fact("status"),
    "effective_status": Fact("delivery"),
    "learning_stage": Fact("learning stage"),
    "objective": Fact("objective"),
    "bid_strategy": Fact("bid strategy"),
    "budget_level": Fact("place of the budget", ("own", "above", "none")),
    "budget_kind": Fact("kind of budget", ("daily", "lifetime", "none")),
    "weekday": Fact("weekday", WEEKDAYS),
    "paused_by_this_strategy": Fact("paused by this strategy", (YES, NO)),
    "age_days": Fact("age in days", most=Decimal(10_000), unit="days"),
    "hour": Fact("hour of the day", most=Decimal(23), unit="hour"),
    "daily_budget": Fact("daily budget", most=_MONEY, unit="money"),
    "lifetime_budget": Fact("lifetime budget", most=_MONEY, unit="money"),
    "bid_amount": Fact("bid", most=_MONEY, unit="money"),
}
#: Amounts of the object that a figure may be compared with.
AMOUNTS: Final = tuple(name for name, fact in FACTS.items() if fact.unit == "money")


def value(fact: str, subject: Subject, snapshot: Snapshot, *, now: datetime) -> str | Decimal | None:
    """What the object's fact is; `None` where nobody knows."""
    match fact:
        case "budget_kind":
            return subject.budget_kind
        case "budget_level":
            if subject.budget_kind != "none" and subject.owns_budget:
                return "own"
            return "above" if subject.level != "campaign" and not subject.owns_budget else "none"
        case "weekday":
            return WEEKDAYS[now.astimezone(ZoneInfo(snapshot.zone)).weekday()]
        case "hour":
            return Decimal(now.astimezone(ZoneInfo(snapshot.zone)).hour)
        case "paused_by_this_strategy":
            return YES if subject.paused_at is not None else NO
        case "age_days":
            return None if subject.created is None else Decimal(max((now - subject.created).days, 0))
    found: str | Decimal | None = getattr(subject, fact)
    return found or None if isinstance(found, str) else found


# --- how they are asked for


def _of_text(fact: str) -> Record:
    known = FACTS[fact]
    text: Shape = Word(known.words) if known.words else Text(400)
    operators = ("is", IN) if known.words else (*TEXT_OPERATORS, IN)

    def build(reader: Reader, values: dict[str, Any], path: str) -> Any:
        several = "texts" in values
        if several != (values["op"] == IN):
            return reader.bad(join(path, "op"), f"{IN} goes with texts, and only with them")
        return FactIn(fact, values["texts"]) if several else FactIs(fact, values["op"], values["text"])

    return Record(
        {"op": Word(operators, refused=REFUSED)},
        build,
        may={"text": text, "texts": Many(text, 50, "text")},
        one_of=(("text",), ("texts",)),
    )


def _of_number(fact: str) -> Record:
    most = FACTS[fact].most
    assert most is not None

    def build(reader: Reader, values: dict[str, Any], path: str) -> Any:
        return FactNumber(fact, values["op"], values["number"])

    return Record({"op": Word(tuple(OPERATORS)), "number": Amount(most=most)}, build)


def _share(reader: Reader, values: dict[str, Any], path: str) -> Any:
    window = values.get("window", LAST_7_DAYS)
    span = spans.parse(window)
    if span is not None and span.kind is spans.Kind.HOURS:
        return reader.bad(join(path, "window"), "a share of the spend is told by days: take today")
    return Share(values["of"], values["op"], values["number"], window) if span is not None else BAD


WINDOW: Final = Text(
    40,
    pattern=spans.PATTERN,
    advice=spans.ADVICE,
    reading=lambda text: getattr(spans.parse(text), "text", None),
)
FACT_SHAPES: Final[Mapping[str, Record]] = {
    **{fact: _of_number(fact) if known.is_number else _of_text(fact) for fact, known in FACTS.items()},
    SHARE: Record(
        {
            "of": Word(tuple(whose for whose in WHOSE if whose != "self")),
            "op": Word(tuple(OPERATORS)),
            "number": Amount(most=Decimal(100)),
        },
        _share,
        may={"window": WINDOW},
    ),
}
