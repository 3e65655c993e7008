"""The file of lab worlds: read and checked, with the place of every mistake.

    {"version": 1, "worlds": [world, ...]}                       worlds written out
    {"version": 1, "family": {...}, "seeds": {"train": [...], "test": [...]}}    worlds drawn, one per seed (`family`)

Money is in major units of the world's currency, rates are shares of 1. docs/lab.md has the table of all fields.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import pathlib
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any

from metaads.sandbox import money

VERSION = 1
SHOCKS = ("price", "ctr", "cvr", "value", "tracking")
#: Shares of conversions told within a day of the click, one to seven days, seven to 28; the rest after a view.
DELAY = (0.60, 0.20, 0.08)
SPLITS = ("train", "test")


class BadWorlds(ValueError):
    """The file is no file of lab worlds. ``errors``: (path, sentence), all of them."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path or 'the file'} {sentence}" for path, sentence in errors))
        self.errors = tuple(errors)


@dataclasses.dataclass(frozen=True, slots=True)
class AdSetPlan:
    """One ad set with its one ad. Money in major units; ``cvr`` is of link clicks, ``ctr`` of impressions."""

    name: str
    campaign: str
    budget: float
    audience: int
    cpm: float
    depth: float
    ctr: float
    cvr: float
    value: float
    margin: float
    fatigue: float
    told: tuple[float, float, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Shock:
    """From the world's day ``day`` on (0 is the first), up to but not including ``until``; None: to the end."""

    day: int
    until: int | None
    what: str
    factor: float
    ad_sets: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class LabWorld:
    """One world. ``history_days``: how long the ad sets have run before the first day."""

    name: str
    seed: int
    currency: str
    zone: str
    start: dt.date
    history_days: int
    margin: float
    target_cpa: float
    chance: bool
    noise: float
    learning: bool
    ad_sets: tuple[AdSetPlan, ...]
    shocks: tuple[Shock, ...] = ()

    @property
    def budget(self) -> float:
        """What all ad sets together may spend a day."""
        return sum(one.budget for one in self.ad_sets)


@dataclasses.dataclass(frozen=True, slots=True)
class Numeric:
    """A number that a field takes: within [low, high]; ``needed`` when it has no default."""

    low: float
    high: float
    default: float | None = None
    whole: bool = False
    above: bool = False  # low itself is not allowed


AD_SET: Mapping[str, Numeric] = {
    "budget": Numeric(1, 1e7),
    "audience": Numeric(1_000, 1e9, whole=True),
    "cpm": Numeric(0, 1e6, above=True),
    "depth": Numeric(0, 1e9, above=True),
    "ctr": Numeric(0, 0.5, above=True),
    "cvr": Numeric(0, 1),
    "value": Numeric(0, 1e7),
    "margin": Numeric(0, 1, above=True),
    "fatigue": Numeric(0, 5, default=0.16),
}
WORLD: Mapping[str, Numeric] = {
    "seed": Numeric(0, 2**62, default=1, whole=True),
    "history_days": Numeric(1, 120, default=35, whole=True),
    "margin": Numeric(0, 1, default=1.0, above=True),
    "target_cpa": Numeric(0, 1e7, above=True),
    "noise": Numeric(0, 2, default=1.0),
}
_TEXTS = {"currency": "USD", "zone": "America/New_York", "start": "2026-03-02"}
_SWITCHES = {"chance": True, "learning": True}


class Reader:
    """Reads parts of a parsed file and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, str]] = []

    def wrong(self, path: str, sentence: str) -> None:
        self.errors.append((path, sentence))

    def mapping(self, data: Any, path: str, known: Sequence[str]) -> Mapping[str, Any]:
        """The object, without what is not known."""
        if not isinstance(data, Mapping):
            self.wrong(path, "must be an object")
            return {}
        for key in data:
            if key not in known:
                self.wrong(f"{path}.{key}".lstrip("."), f"is not known; there are {', '.join(sorted(known))}")
        return data

    def listing(self, data: Any, path: str) -> Sequence[Any]:
        """The list, which must hold something."""
        if not isinstance(data, list) or not data:
            self.wrong(path, "must be a list that is not empty")
            return []
        return data

    def number(self, data: Any, path: str, rule: Numeric) -> float:
        """A number inside the rule; what is wrong becomes the rule's lowest."""
        if data is None and rule.default is not None:
            return rule.default
        if data is None:
            self.wrong(path, "is missing")
            return rule.low
        if isinstance(data, bool) or not isinstance(data, int | float) or data != data:
            self.wrong(path, "must be a number")
            return rule.low
        if rule.whole and data != int(data):
            self.wrong(path, "must be a whole number")
        elif not rule.low <= data <= rule.high or (rule.above and data == rule.low):
            least = f"above {rule.low:g}" if rule.above else f"at least {rule.low:g}"
            self.wrong(path, f"must be {least} and at most {rule.high:g}")
        else:
            return float(data)
        return rule.low

    def numbers(self, data: Mapping[str, Any], path: str, rules: Mapping[str, Numeric]) -> dict[str, float]:
        return {name: self.number(data.get(name), f"{path}.{name}", rule) for name, rule in rules.items()}


def load(path: pathlib.Path) -> Any:
    """The parsed file; raises `BadWorlds` when there is none, or it is no JSON object of this version."""
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise BadWorlds([("", f"{path} cannot be read ({error.strerror})")]) from None
    except ValueError as error:
        raise BadWorlds([("", f"{path} is no JSON: {error}")]) from None
    if not isinstance(data, dict):
        raise BadWorlds([("", "must be an object")])
    if data.get("version") != VERSION:
        raise BadWorlds([("version", f"must be {VERSION}")])
    if ("worlds" in data) == ("family" in data):
        raise BadWorlds([("", "must have either worlds or a family")])
    return data


def world(data: Any, path: str, reader: Reader) -> LabWorld | None:
    """One world; None when something of it is wrong (the reader knows what)."""
    before = len(reader.errors)
    given = reader.mapping(data, path, [*WORLD, *_TEXTS, *_SWITCHES, "name", "ad_sets", "shocks"])
    numbers = reader.numbers(given, path, WORLD)
    texts = {key: _text(given.get(key, default), f"{path}.{key}", reader) for key, default in _TEXTS.items()}
    switches = {key: given.get(key, default) for key, default in _SWITCHES.items()}
    for key, value in switches.items():
        if not isinstance(value, bool):
            reader.wrong(f"{path}.{key}", "must be true or false")
    name = _text(given.get("name"), f"{path}.name", reader)
    start = _checked(texts, path, reader)
    rows = reader.listing(given.get("ad_sets"), f"{path}.ad_sets")
    sets = [
        _ad_set(row, f"{path}.ad_sets[{index}]", numbers["margin"], texts["currency"], reader)
        for index, row in enumerate(rows)
    ]
    names = [one.name for one in sets]
    if len(set(names)) != len(names):
        reader.wrong(f"{path}.ad_sets", "must have names that differ")
    shocks = given.get("shocks", [])
    if not isinstance(shocks, list):
        reader.wrong(f"{path}.shocks", "must be a list")
        shocks = []
    events = [_shock(row, f"{path}.shocks[{index}]", names, reader) for index, row in enumerate(shocks)]
    if len(reader.errors) > before:
        return None
    return LabWorld(
        name=name,
        seed=int(numbers["seed"]),
        currency=texts["currency"],
        zone=texts["zone"],
        start=start,
        history_days=int(numbers["history_days"]),
        margin=numbers["margin"],
        target_cpa=numbers["target_cpa"],
        noise=numbers["noise"],
        ad_sets=tuple(sets),
        shocks=tuple(events),
        **switches,
    )


def _text(data: Any, path: str, reader: Reader) -> str:
    if isinstance(data, str) and data.strip():
        return data
    reader.wrong(path, "is missing" if data is None else "must be a text that is not empty")
    return ""


def _checked(texts: Mapping[str, str], path: str, reader: Reader) -> dt.date:
    if texts["currency"] not in money.WHOLE | money.HUNDREDTHS:
        reader.wrong(f"{path}.currency", "is no currency that Meta names")
    if texts["zone"] not in zoneinfo.available_timezones():
        reader.wrong(f"{path}.zone", "is no time zone")
    try:
        return dt.date.fromisoformat(texts["start"])
    except ValueError:
        reader.wrong(f"{path}.start", "must be a date such as 2026-03-02")
        return dt.date.min


def _ad_set(data: Any, path: str, margin: float, currency: str, reader: Reader) -> AdSetPlan:
    given = reader.mapping(data, path, [*AD_SET, "name", "campaign", "delay"])
    given = {"margin": margin, **given}
    numbers = reader.numbers(given, path, AD_SET)
    unit = money.offset(currency) if currency in money.WHOLE | money.HUNDREDTHS else 100
    if abs(numbers["budget"] * unit - round(numbers["budget"] * unit)) > 1e-6:
        reader.wrong(f"{path}.budget", "must be a whole number of the currency's smallest unit")
    return AdSetPlan(
        name=_text(given.get("name"), f"{path}.name", reader),
        campaign=_text(given.get("campaign", "Campaign"), f"{path}.campaign", reader),
        told=_told(given.get("delay"), f"{path}.delay", reader),
        budget=numbers["budget"],
        audience=int(numbers["audience"]),
        cpm=numbers["cpm"],
        depth=numbers["depth"],
        ctr=numbers["ctr"],
        cvr=numbers["cvr"],
        value=numbers["value"],
        margin=numbers["margin"],
        fatigue=numbers["fatigue"],
    )


def _told(data: Any, path: str, reader: Reader) -> tuple[float, float, float]:
    """Shares told within a day of the click, a week, 28 days."""
    if data is None:
        return DELAY
    rules = {"day": Numeric(0, 1), "week": Numeric(0, 1), "month": Numeric(0, 1)}
    given = reader.mapping(data, path, list(rules))
    day, week, month = reader.numbers(given, path, rules).values()
    if day + week + month > 1 + 1e-9:
        reader.wrong(path, "must not come to more than 1")
    return day, week, month


def _shock(data: Any, path: str, names: Sequence[str], reader: Reader) -> Shock:
    given = reader.mapping(data, path, ["day", "until", "what", "factor", "ad_sets"])
    what = given.get("what")
    if what not in SHOCKS:
        reader.wrong(f"{path}.what", f"must be one of {', '.join(SHOCKS)}")
    day = reader.number(given.get("day"), f"{path}.day", Numeric(0, 3650, whole=True))
    until = None
    if given.get("until") is not None:
        until = int(reader.number(given["until"], f"{path}.until", Numeric(day + 1, 3650, whole=True)))
    tracking = what == "tracking"
    for key in ("factor", "ad_sets"):
        if tracking and key in given:
            reader.wrong(f"{path}.{key}", "does not go with tracking, which is lost in the whole account")
    factor = (
        0.0 if tracking else reader.number(given.get("factor"), f"{path}.factor", Numeric(0, 100, above=True))
    )
    chosen = given.get("ad_sets", list(names))
    if not isinstance(chosen, list) or any(name not in names for name in chosen):
        reader.wrong(f"{path}.ad_sets", "must be a list of names of the world's ad sets")
        chosen = []
    return Shock(day=int(day), until=until, what=str(what), factor=factor, ad_sets=tuple(chosen))
