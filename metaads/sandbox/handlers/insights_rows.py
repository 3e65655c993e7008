"""An insights read: which ads, which days, added up into rows.

    ads of the object -> filters -> campaign-days -> (slice, ad, cell) sums -> grouped to the level -> reach ->
    texts -> sorted

Everything additive is added from ad rows; reach is computed for the row's whole period (never added).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np

from metaads.sandbox.delivery import cells, reach
from metaads.sandbox.delivery.curves import Ints, uniform
from metaads.sandbox.delivery.day import BUCKETS, COUNTS, IMPRESSIONS, KINDS, SPEND, CampaignDay
from metaads.sandbox.delivery.engine import Engine
from metaads.sandbox.errors import GraphError
from metaads.sandbox.handlers import filters, insights_metrics
from metaads.sandbox.handlers.insights_fields import IDENTITY
from metaads.sandbox.handlers.insights_query import HOURLY, LEVELS, Query
from metaads.sandbox.world.nodes import ACCOUNT, AD, ADSET, CAMPAIGN, Node
from metaads.sandbox.world.state import GONE, World, ids_below

WIDTH = COUNTS + 2 * KINDS * BUCKETS
TOO_MANY_ROWS = 60_000
RANKED_FROM = 500
RESULT = {
    "OUTCOME_SALES": "offsite_conversion.fb_pixel_purchase",
    "OUTCOME_LEADS": "lead",
    "OUTCOME_AWARENESS": "reach",
    "OUTCOME_ENGAGEMENT": "post_engagement",
}
Cell = tuple[tuple[str, str], ...]
# (slice, object) -> impressions by ad set.
People = dict[tuple[int, str], dict[str, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Key:
    """A row: which period, which object, which cell."""

    slice: int
    object_id: str
    cell: Cell


def rows(engine: Engine, node: Node, query: Query, *, now: float) -> list[dict[str, Any]]:
    """All rows of the read, in a fixed order."""
    world = engine.world
    ads = _ads(world, node, query, now)
    sums, people = _collect(engine, ads, query, now)
    account = world.account_of(node)
    today = engine.today(account.id, now)
    found = []
    for key, vector in sums.items():
        if not (vector[IMPRESSIONS] or vector[SPEND] or vector[COUNTS:].any()):
            continue
        owner = world.nodes[key.object_id]
        if query.level != _own_level(node) and not _shown(world, owner, query, now):
            continue
        metrics = _sums(world, key, vector, people, query, account, today)
        row = _row(world, owner, key, metrics, query, now)
        if filters.keep_row(row, query.filters):
            found.append(row)
    if len(found) > TOO_MANY_ROWS:
        raise GraphError(
            100, "(#100) Too much data was requested", subcode=1487534, title="Data Per Call Limit Reached"
        )
    return _sorted(found, query.sort)


def summary(engine: Engine, node: Node, query: Query, *, now: float) -> dict[str, Any]:
    """One row over all periods and cells, with the ``summary`` fields."""
    first, last = min(s.since for s in query.slices), max(s.until for s in query.slices)
    whole = dataclasses.replace(
        query,
        level=_own_level(node),
        fields=query.summary,
        default_fields=False,
        breakdowns=(),
        sort="",
        slices=(type(query.slices[0])(first, last),),
    )
    found = rows(engine, node, whole, now=now)
    return found[0] if found else {"date_start": first.isoformat(), "date_stop": last.isoformat()}


def _own_level(node: Node) -> str:
    return "account" if node.kind == ACCOUNT else node.kind


def _ads(world: World, node: Node, query: Query, now: float) -> list[Node]:
    found = [ad for ad in ids_below(world, node, AD) if ad.created <= now]
    if query.filters:
        named = filters.names_status(query.filters)
        found = [
            ad
            for ad in found
            if filters.keep_ad(world, ad, query.filters, now)
            and (named or node.kind == AD or world.status(ad, now) not in GONE)
        ]
    return found


def _shown(world: World, owner: Node, query: Query, now: float) -> bool:
    """Rows of archived and deleted children appear only when a filter names the status (reference 5.3)."""
    return (
        owner.kind == ACCOUNT or filters.names_status(query.filters) or world.status(owner, now) not in GONE
    )


def _collect(engine: Engine, ads: list[Node], query: Query, now: float) -> tuple[dict[_Key, Ints], People]:
    """Sums by row, and who saw it, for reach."""
    world, as_of = engine.world, engine.as_of(now)
    wanted = {ad.id: ad for ad in ads}
    campaigns = {ad.campaign_id: world.nodes[ad.campaign_id] for ad in ads}
    sums: dict[_Key, Ints] = {}
    people: People = {}
    for campaign in campaigns.values():
        for index, period in enumerate(query.slices):
            totals: dict[tuple[str, Cell], Ints] = {}
            for day in engine.days(campaign, period.since, period.until, now):
                _add_day(world, totals, day, as_of, wanted, query)
            for (ad_id, cell), vector in totals.items():
                ad = wanted[ad_id]
                owner = _owner(ad, query.level)
                key = _Key(index, owner, cell)
                if key in sums:
                    sums[key] += vector
                else:
                    sums[key] = vector.copy()
                crowd = people.setdefault((index, owner), {})
                crowd[ad.adset_id] = crowd.get(ad.adset_id, 0) + int(vector[IMPRESSIONS])
    return dict(sorted(sums.items(), key=lambda item: item[0].slice)), people


def _add_day(
    world: World,
    totals: dict[tuple[str, Cell], Ints],
    day: CampaignDay,
    as_of: float,
    wanted: dict[str, Node],
    query: Query,
) -> None:
    if query.breakdowns:
        for ad_id, cell, vector in _cells(world, day, as_of, wanted, query):
            old = totals.get((ad_id, cell))
            totals[ad_id, cell] = vector if old is None else old + vector
        return
    table = _vectors(day, as_of)
    for row, ad_id in enumerate(day.ads):
        if ad_id in wanted:
            old = totals.get((ad_id, ()))
            totals[ad_id, ()] = table[row] if old is None else old + table[row]


def _vectors(day: CampaignDay, as_of: float) -> Ints:
    """[ads, WIDTH]: counts, then conversions, then their value."""
    number, value = day.conversions(as_of)
    size = len(day.ads)
    return np.concatenate(
        (day.counts(as_of).T, number.reshape(size, KINDS * BUCKETS), value.reshape(size, KINDS * BUCKETS)),
        axis=1,
    )


def _cells(
    world: World, day: CampaignDay, as_of: float, wanted: dict[str, Node], query: Query
) -> list[tuple[str, Cell, Ints]]:
    """Parts of each ad's day by cell."""
    seen = day.seen(as_of)
    found: list[tuple[str, Cell, Ints]] = []
    hourly = day.hourly(as_of) if query.hourly else None
    counts = day.counts(as_of)
    for row, ad_id in enumerate(day.ads):
        if ad_id not in wanted or (not counts[IMPRESSIONS, row] and not counts[SPEND, row]):
            continue
        mine = np.flatnonzero(seen & (day.events.ad == row))
        if hourly is not None:
            parts = hourly[:, row, :]
            names: list[Cell] = [((HOURLY, f"{hour:02d}:00:00 - {hour:02d}:59:59"),) for hour in range(24)]
            where = day.events.hour[mine]
        else:
            ad = wanted[ad_id]
            family = query.family or "people"
            labels = cells.labels(ad, world.nodes[ad.adset_id], family=family, at=as_of)
            shares = cells.weights(
                ad, seed=world.seed, family=family, base=tuple(weight for _name, weight in labels)
            )
            parts = cells.split(counts[:, row], shares)
            names = [tuple((name, label[name]) for name in query.breakdowns) for label, _weight in labels]
            where = np.searchsorted(np.cumsum(shares)[:-1], uniform(day.events.key[mine], 41), side="right")
        slot = (where * KINDS + day.events.kind[mine]) * BUCKETS + day.events.bucket[mine]
        half = len(names) * KINDS * BUCKETS
        number = np.bincount(slot, minlength=half).astype(np.int64).reshape(len(names), KINDS * BUCKETS)
        value = np.zeros(half, dtype=np.int64)
        np.add.at(value, slot, day.events.value[mine])
        worth = value.reshape(len(names), KINDS * BUCKETS)
        for index, name in enumerate(names):
            vector = np.concatenate((parts[:, index], number[index], worth[index]))
            if vector.any():
                found.append((ad_id, name, vector))
    return found


def _owner(ad: Node, level: str) -> str:
    return {"account": ad.account_id, "campaign": ad.campaign_id, "adset": ad.adset_id, "ad": ad.id}[level]


def _sums(
    world: World, key: _Key, vector: Ints, people: People, query: Query, account: Node, today: dt.date
) -> insights_metrics.Sums:
    half = KINDS * BUCKETS
    owner = world.nodes[key.object_id]
    campaign = world.nodes.get(owner.campaign_id)
    objective = str(campaign.get("objective", world.start, "")) if campaign else ""
    return insights_metrics.Sums(
        counts=vector[:COUNTS],
        number=vector[COUNTS : COUNTS + half].reshape(KINDS, BUCKETS),
        value=vector[COUNTS + half :].reshape(KINDS, BUCKETS),
        reach=_shown_reach(world, key, vector, people, query, today),
        currency=account.currency(),
        windows=query.windows,
        off_meta=not (query.hourly or "region" in query.breakdowns),
        result=RESULT.get(objective, "link_click"),
    )


def _shown_reach(
    world: World, key: _Key, vector: Ints, people: People, query: Query, today: dt.date
) -> int | None:
    """People of the row: 0 by hour; left out with a breakdown that starts over 13 months ago (reference 5.6)."""
    if query.hourly:
        return 0
    if not query.breakdowns:
        return _reach(world, key, people)
    if query.slices[key.slice].since < today - dt.timedelta(days=396):
        return None
    shown = sum(people[key.slice, key.object_id].values())
    return reach.of_cell(_reach(world, key, people), impressions=int(vector[IMPRESSIONS]), whole=shown)


def _reach(world: World, key: _Key, people: People) -> int:
    by_campaign: dict[str, list[int]] = {}
    for adset_id, impressions in people[key.slice, key.object_id].items():
        adset = world.nodes[adset_id]
        reached = reach.of_impressions(impressions, audience=adset.traits.audience)
        by_campaign.setdefault(adset.campaign_id, []).append(reached)
    parts = [reach.union(sizes, universe=_universe(world, owner)) for owner, sizes in by_campaign.items()]
    account = world.nodes[key.object_id].account_id
    return reach.union(parts, universe=_universe(world, account))


def _universe(world: World, owner_id: str) -> int:
    """The people among whom overlap happens: the same for every period, else days could not bound a range."""
    return 2 * max(adset.traits.audience for adset in world.children(owner_id, ADSET))


def _row(
    world: World, owner: Node, key: _Key, sums: insights_metrics.Sums, query: Query, now: float
) -> dict[str, Any]:
    period = query.slices[key.slice]
    row: dict[str, Any] = {}
    names = query.fields
    if query.default_fields:
        depth = LEVELS.index(query.level) + 1
        names = (*[f"{level}_id" for level in LEVELS[:depth]], *names)
    for name in names:
        if name in ("date_start", "date_stop"):
            continue
        value = (
            _ranking(owner, name, sums, query)
            if name.endswith("_ranking")
            else identity(world, owner, name, query.level, now)
            if name in _NAMED
            else insights_metrics.metric(name, sums)
        )
        if value is not None:
            row["results" if name == "objective_results" else name] = value
    row["date_start"], row["date_stop"] = period.since.isoformat(), period.until.isoformat()
    row.update(key.cell)
    return row


_NAMED = frozenset(IDENTITY) | {"created_time", "updated_time"}


def identity(world: World, owner: Node, name: str, level: str, now: float) -> str | None:
    """Ids, names and other facts about the row's object; None below the row's level."""
    if name in ("created_time", "updated_time"):
        return filters.day_text(
            world, owner, owner.created if name == "created_time" else owner.get("updated_time", now)
        )
    if LEVELS.index(IDENTITY[name]) > LEVELS.index(level):
        return None
    at = IDENTITY[name]
    node = (
        world.account_of(owner)
        if at == "account"
        else owner
        if owner.kind == at
        else world.nodes[owner.campaign_id if at == CAMPAIGN else owner.adset_id]
    )
    if name.endswith("_id"):
        return node.id.removeprefix("act_")
    if name == "account_currency":
        return node.currency()
    if name == "attribution_setting":
        return "7d_click_1d_view"
    field = {
        "objective": "objective",
        "buying_type": "buying_type",
        "optimization_goal": "optimization_goal",
    }.get(name, "name")
    value = node.get(field, now)
    return None if value is None else str(value)


def _ranking(owner: Node, name: str, sums: insights_metrics.Sums, query: Query) -> str | None:
    """Only ads are ranked, without breakdowns, and from 500 impressions on (reference 5.4)."""
    if query.level != "ad" or query.breakdowns or query.hourly:
        return None
    if int(sums.counts[IMPRESSIONS]) < RANKED_FROM:
        return "UNKNOWN"
    standing = owner.traits.standing(name)
    for floor, text in (
        (1.25, "ABOVE_AVERAGE"),
        (0.8, "AVERAGE"),
        (0.6, "BELOW_AVERAGE_35"),
        (0.4, "BELOW_AVERAGE_20"),
    ):
        if standing >= floor:
            return text
    return "BELOW_AVERAGE_10"


def _sorted(found: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    if not sort:
        return found
    name, _, direction = sort.rpartition("_")
    if direction not in ("ascending", "descending"):
        name, direction = sort, "ascending"
    return sorted(found, key=lambda row: filters.sort_value(row, name), reverse=direction == "descending")
