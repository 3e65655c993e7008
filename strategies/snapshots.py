"""What the engine sees of an ad account: the only place where it meets the database.

    document ─> its windows and the metrics over each ─> days, by the account's today and its learned completeness
             ─> insights.analytics, one table for each level and window that is asked for ─> subjects

Structure comes from `campaigns.queries`, figures from `insights.analytics`. However many objects there are, the number
of questions depends on the document's windows alone; nothing is read that it does not ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import insights.analytics as analytics
import insights.windows as days_of
import strategies.pasts as pasts
from accounts.models import AdAccount
from campaigns.queries import ObjectRow, paused_by, structure
from campaigns.states import Level
from insights.analytics import Header, Seen
from insights.completeness import curves
from insights.metrics import METRICS, RESULTS
from insights.windows import Period
from metaads.graph.money import known, minor_unit
from strategies.engine import spans
from strategies.engine.judge import LEARNING, RUNNING, worst
from strategies.engine.rules import BUDGET_OWNER, SELF, Document, FactIn, FactIs, leaves, needs
from strategies.engine.spans import Kind, Span
from strategies.engine.types import LAST_7_DAYS, Action, Look, Snapshot, Subject, Trust, Values

#: What a look without a document sees: enough to write a rule from.
_USUAL: Final = frozenset(
    {"spend", "impressions", "clicks", "ctr", "cpc", "cpm", "conversions", "cpa", "roas", "frequency"}
)
_ACCOUNT: Final = "account"
#: Level of an object -> the level of what it is in.
_ABOVE: Final[Mapping[str, str]] = {"campaign": _ACCOUNT, "adset": "campaign", "ad": "adset"}


@dataclass(frozen=True)
class Figures:
    """One level's figures over one window. An object that is not in `values` has no rows; `empty` is what it has."""

    look: Look
    header: Header
    values: Mapping[str, Values]
    empty: Values

    def of(self, object_id: str | None) -> Values:
        return self.values.get(object_id or "", self.empty)


Tables = Mapping[tuple[str, str], Figures]


def build(
    *,
    ad_account: AdAccount,
    now: datetime,
    document: Document | None = None,
    strategy_ref: str = "",
    pauses: Mapping[str, datetime] = MappingProxyType({}),
) -> Snapshot:
    """The account as it is known now, as far as the document asks (without one: the last seven days of what owns a
    budget). `pauses` are those of this strategy that end by themselves, by object. The caller got `ad_account` from
    `accounts.access` (or is a scanner)."""
    rows = structure(ad_account=ad_account, levels=levels_read(document))
    return assemble(
        ad_account=ad_account,
        now=now,
        document=document,
        rows=rows,
        tables=_tables(ad_account, tables_wanted(document), now),
        paused=_paused(ad_account, document, strategy_ref, ending=bool(pauses)),
        pauses=pauses,
    )


def assemble(
    *,
    ad_account: AdAccount,
    now: datetime,
    document: Document | None,
    rows: Iterable[ObjectRow],
    tables: Tables,
    paused: Mapping[str, datetime] = MappingProxyType({}),
    pauses: Mapping[str, datetime] = MappingProxyType({}),
    sources: pasts.Sources | None = None,
) -> Snapshot:
    """The snapshot of this structure (of `levels_read`) and these figures (a table for each of `tables_wanted`),
    whenever they were known."""
    looks = _looks(tables)
    header = next(iter(tables.values())).header
    whole = worst(looks.values(), otherwise=Look(header.since, header.until, Trust.UNAVAILABLE))
    days = [day for look in looks.values() for day in (look.since, look.until) if day is not None]
    today = analytics.account_today(ad_account, now)
    snapshot = Snapshot(
        currency=header.currency,
        minor_unit=minor_unit(header.currency) if known(header.currency) else None,
        zone=header.zone,
        since=min(days, default=today),
        until=max(days, default=today),
        data_version=max(figures.header.data_version for figures in tables.values()),
        as_of=max((one.header.data_as_of for one in tables.values() if one.header.data_as_of), default=None),
        trust=whole.trust,
        trust_reasons=tuple(dict.fromkeys(reason for look in looks.values() for reason in look.reasons)),
        subjects=subjects(
            rows,
            levels=_levels(document),
            asked=_asked(document),
            tables=tables,
            paused=paused,
            pauses=pauses,
            zone=header.zone,
        ),
        looks=looks,
        targets=targets(ad_account),
    )
    if document is None:
        return snapshot
    return pasts.attach(snapshot, ad_account=ad_account, document=document, now=now, sources=sources)


def _asked(document: Document | None) -> dict[str, dict[str, frozenset[str]]]:
    return needs(document) if document is not None else {SELF: {LAST_7_DAYS: _USUAL}}


def _levels(document: Document | None) -> tuple[str, ...]:
    level = document.level if document is not None else BUDGET_OWNER
    return ("campaign", "adset") if level == BUDGET_OWNER else (level,)


def targets(ad_account: AdAccount) -> dict[str, Decimal]:
    """The client's targets that are set; the CPA in the account's currency."""
    client = ad_account.client
    pairs = {"cpa": client.target_cpa, "roas": client.target_roas}
    return {name: Decimal(value) for name, value in pairs.items() if value is not None}


def levels_read(document: Document | None) -> tuple[Level, ...]:
    """Ad sets are read along with ads and campaigns, since an object is in learning when its ad set is."""
    if "ad" in _levels(document):
        return (Level.AD_SET, Level.AD)
    return (Level.CAMPAIGN, Level.AD_SET)


def tables_wanted(document: Document | None) -> dict[tuple[str, str], frozenset[str]]:
    """(level, window) -> the metrics to be read of it."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for whose, windows in _asked(document).items():
        for level in _levels(document):
            table = {SELF: level, "parent": _ABOVE[level]}.get(whose, whose)
            for window, names in windows.items():
                found[table, window] = found.get((table, window), frozenset()) | names
    return found


def _paused(
    ad_account: AdAccount, document: Document | None, strategy_ref: str, *, ending: bool
) -> Mapping[str, datetime]:
    """When this strategy paused what is paused; asked only where the document depends on it."""
    if document is None or not strategy_ref:
        return {}
    trees = [case.when for case in document.cases] + [document.scope.where]
    asks = any(
        isinstance(leaf, FactIs | FactIn) and leaf.fact == "paused_by_this_strategy"
        for tree in trees
        if tree is not None
        for leaf in leaves(tree)
    )
    starts = any(do.action is Action.START for do in document.does)
    return paused_by(ad_account=ad_account, strategy_ref=strategy_ref) if asks or starts or ending else {}


# --- figures


def _tables(
    ad_account: AdAccount, wanted: Mapping[tuple[str, str], frozenset[str]], now: datetime
) -> dict[tuple[str, str], Figures]:
    today = analytics.account_today(ad_account, now)
    known_windows = {window: spans.parse(window) for _, window in wanted}
    periods: dict[str, Period | None] = {
        window: _period(ad_account, span, today, now)
        for window, span in known_windows.items()
        if span is not None
    }
    found = {}
    for level in dict.fromkeys(level for level, _ in wanted):
        mine = {window: names for (at, window), names in wanted.items() if at == level}
        seen = _seen(
            ad_account, level, [period for window in mine if (period := periods[window]) is not None]
        )
        for window, names in mine.items():
            span = known_windows[window]
            assert span is not None
            found[level, window] = _figures(ad_account, level, span, periods[window], names, seen, now)
    return found


def _seen(ad_account: AdAccount, level: str, periods: list[Period]) -> Seen | None:
    """One look at the reads of all days that are asked for."""
    if not periods:
        return None
    span = Period(min(period.since for period in periods), max(period.until for period in periods))
    return analytics.look(ad_account=ad_account, span=span, level=level)


def _period(ad_account: AdAccount, span: Span, today: date, now: datetime) -> Period | None:
    """The account days of a window; `None` for one of hours, and for one that holds none."""
    if span.kind is Kind.HOURS:
        return None
    if span.kind is Kind.LIFETIME:
        since = analytics.read_since(ad_account, now=now)
        return None if since is None else Period(since, today)
    settled = _settled(ad_account, span.share) if span.kind is Kind.MATURE else None
    days = spans.days(span, today=today, settled=settled)
    return None if days is None else Period(*days)


def _settled(ad_account: AdAccount, share: int) -> int | None:
    """After how many days the client's result, or where each ad set has its own every result, is reported to this
    share; `None` while the account's curves do not say so."""
    learned = curves(ad_account)
    base = RESULTS.get(ad_account.client.result_action)
    asked = [base] if base else sorted(set(RESULTS.values()) & learned.keys())
    found = [spans.settled_after(learned[one].shares, share) if one in learned else None for one in asked]
    known_ones = [one for one in found if one is not None]
    return max(known_ones) if known_ones and len(known_ones) == len(found) else None


def _figures(
    ad_account: AdAccount,
    level: str,
    span: Span,
    period: Period | None,
    names: frozenset[str],
    seen: Seen | None,
    now: datetime,
) -> Figures:
    metrics = tuple(sorted(names))
    if span.kind is Kind.HOURS:
        if level not in ("campaign", _ACCOUNT):
            return _nothing(ad_account, names, now, "Hours are only read of campaigns and accounts.")
        table = analytics.last_hours(ad_account, level=level, hours=span.count, metrics=metrics, now=now)
        values = {row.object_id: row.values for row in table.rows}
        return Figures(
            _look(table.header, days=False),
            table.header,
            values,
            nothing_delivered(ad_account, names, table.header),
        )
    if period is None:
        why = (
            "The account's completeness is not learned yet."
            if span.kind is Kind.MATURE
            else "No day was read."
        )
        return _nothing(ad_account, names, now, why)
    if span.kind is Kind.DAYS:
        kept = analytics.windows(ad_account, level=level, now=now, days=span.count, metrics=names, seen=seen)
        values = {
            one: {name: column[one] for name, column in kept.columns.items()} for one in kept.object_ids
        }
        return Figures(
            _look(kept.header), kept.header, values, nothing_delivered(ad_account, names, kept.header)
        )
    table = analytics.table(
        ad_account, level=level, since=period.since, until=period.until, metrics=metrics, now=now, seen=seen
    )
    values = {row.object_id: row.values for row in table.rows}
    return Figures(
        _look(table.header), table.header, values, nothing_delivered(ad_account, names, table.header)
    )


def _look(header: Header, *, days: bool = True) -> Look:
    trust = Trust(header.trust.state)
    return Look(header.since if days else None, header.until if days else None, trust, header.trust.reasons)


def _nothing(ad_account: AdAccount, names: frozenset[str], now: datetime, why: str) -> Figures:
    """A window of which nobody can know anything now."""
    today = analytics.account_today(ad_account, now)
    header = analytics.totals(ad_account, since=today, until=today, metrics=("spend",), now=now).header
    return Figures(Look(None, None, Trust.UNAVAILABLE, (why,)), header, {}, dict.fromkeys(names))


def nothing_delivered(
    ad_account: AdAccount, names: frozenset[str], header: Header
) -> dict[str, Decimal | None]:
    """In slices that were read to the end an absent row means that nothing was delivered: sums are 0, ratios unknown,
    and so are results where nobody says what counts as one."""
    whole = header.trust.state in ("ready", "stale", "empty")
    said = bool(ad_account.client.result_action)
    return {
        name: Decimal(0)
        if whole and METRICS[name].summable and (said or not METRICS[name].of_result)
        else None
        for name in names
    }


def _looks(tables: Tables) -> dict[str, Look]:
    """What is known of each window: the least that is known of it at any level."""
    found: dict[str, list[Look]] = {}
    for (_, window), figures in tables.items():
        found.setdefault(window, []).append(figures.look)
    return {window: worst(looks, otherwise=looks[0]) for window, looks in found.items()}


# --- subjects


def subjects(
    rows: Iterable[ObjectRow],
    *,
    levels: tuple[str, ...],
    asked: Mapping[str, Mapping[str, frozenset[str]]],
    tables: Tables,
    paused: Mapping[str, datetime],
    pauses: Mapping[str, datetime],
    zone: str,
) -> tuple[Subject, ...]:
    """The objects of these levels with their figures, in a fixed order."""
    every = list(rows)
    budgets = {row.meta_id for row in every if _has_budget(row)}
    learning = {
        one
        for row in every
        if row.level is Level.AD_SET and row.learning_stage == LEARNING and row.effective_status in RUNNING
        # An edit of a campaign's budget restarts the learning of its ad sets; an ad's that of its ad set.
        for one in (row.campaign_id, row.meta_id)
    }
    found = []
    for row in every:
        if row.level.value not in levels:
            continue
        above = row.campaign_id if row.level is Level.AD_SET else ""
        owner = row.parent_id if row.level is Level.AD else row.meta_id
        found.append(
            Subject(
                level=row.level.value,
                object_id=row.meta_id,
                name=row.name,
                parent_id=row.parent_id or None,
                status=row.status,
                effective_status=row.effective_status,
                daily_budget=row.daily_budget,
                lifetime_budget=row.lifetime_budget,
                owns_budget=_has_budget(row) and above not in budgets,
                learning_stage=(LEARNING if owner in learning else row.learning_stage) or None,
                start=row.start,
                end=row.end,
                values={window: _own(row, window, tables, zone) for window in asked.get(SELF, {})},
                campaign_id=row.campaign_id or None,
                objective=row.objective,
                bid_strategy=row.bid_strategy,
                bid_amount=row.bid_amount,
                created=row.created,
                paused_at=paused.get(row.meta_id),
                # One that somebody switched meanwhile is theirs, and does not end by itself.
                pause_ends=pauses.get(row.meta_id) if row.meta_id in paused else None,
                around={
                    whose: {window: _around(row, whose, window, tables) for window in windows}
                    for whose, windows in asked.items()
                    if whose != SELF
                },
            )
        )
    return tuple(sorted(found, key=lambda subject: (subject.level, subject.object_id)))


def _own(row: ObjectRow, window: str, tables: Tables, zone: str) -> Values:
    figures = tables[row.level.value, window]
    if window == Kind.LIFETIME and not _whole_life(row, figures, zone):
        return dict.fromkeys(figures.empty)
    return figures.of(row.meta_id)


def _whole_life(row: ObjectRow, figures: Figures, zone: str) -> bool:
    """Whether every day of the object's life was read."""
    if row.created is None or figures.look.since is None:
        return False
    return days_of.today(row.created, zone) >= figures.look.since


def _around(row: ObjectRow, whose: str, window: str, tables: Tables) -> Values:
    level = {"parent": _ABOVE[row.level.value]}.get(whose, whose)
    figures = tables[level, window]
    if window == Kind.LIFETIME:
        return dict.fromkeys(figures.empty)
    if level == _ACCOUNT:
        return next(iter(figures.values.values()), figures.empty)
    return figures.of(row.campaign_id if level == "campaign" else row.parent_id)


def _has_budget(row: ObjectRow) -> bool:
    return bool(row.daily_budget or row.lifetime_budget)
