"""What the engine would have seen at an earlier instant: `snapshots` of figures and structure as they were known then.

    open_     structure with the ledger's lines, first reads, curves: once for any number of instants
    at        tables as known then (`insights.analytics.as_known_at`) ─> `snapshots.assemble`

However many objects there are, the number of questions depends on the instants and the document's windows alone.

What was not kept, and what is done instead (each is said in `NOT_KEPT`): reach and Meta's rankings, hours, and a
completeness that was learned later than the instant are unknown, so nothing fires on them; that figures were late is
not known, so they count as fresh; targets, what counts as a result, learning stages and objectives are today's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import campaigns.past as past
import insights.analytics as analytics
import insights.windows as days_of
import strategies.pasts as pasts
from accounts.models import AdAccount
from campaigns.past import Past
from insights.analytics import DaysTable, Header
from insights.analytics import Trust as KnownTrust
from insights.completeness import Curve, curves
from insights.metrics import RESULTS
from insights.windows import Period
from strategies import snapshots
from strategies.engine import spans
from strategies.engine.rules import Document
from strategies.engine.spans import Kind, Span
from strategies.engine.types import Look, Snapshot, Trust
from strategies.snapshots import Figures, Tables

NOT_KEPT: Final = (
    "Reach, frequency, Meta's rankings and single hours are not kept as they were; a condition on them is unknown.",
    "How old figures were when they were looked at is not kept; they count as fresh.",
    "Targets, what counts as a result, learning stages and objectives are those of today.",
    "Caps and approvals of then are not applied: each change counts as done at once.",
)


class Basis(StrEnum):
    """On what an instant is judged."""

    KNOWN = "known"  # exactly the figures of then
    WITHIN_HOUR = "within_hour"  # the running day's figures at the end of that clock hour
    HINDSIGHT = "hindsight"  # figures that were first read later
    UNREAD = "unread"  # some days had not been read by then


#: How far before the first instant a start still counts: rates are weighed since the month before.
_MEMORY: Final = timedelta(days=62)
_WORST: Final = (Basis.UNREAD, Basis.HINDSIGHT, Basis.WITHIN_HOUR, Basis.KNOWN)


@dataclass(frozen=True)
class Seen:
    """An instant: what would have been seen, and on what basis."""

    at: datetime
    snapshot: Snapshot
    basis: Basis


@dataclass(frozen=True)
class Archive:
    """What is read once. `hindsight` lets days that were first read later stand with what they said at first."""

    ad_account: AdAccount
    document: Document
    tree: Past
    first_read: Mapping[date, datetime]
    curves: Mapping[str, Curve]
    hindsight: bool = False


def open_(*, ad_account: AdAccount, document: Document, since: datetime, hindsight: bool = False) -> Archive:
    """What is needed for instants from `since` on. The caller got the account from `accounts.access`."""
    return Archive(
        ad_account=ad_account,
        document=document,
        tree=past.read(ad_account=ad_account, levels=snapshots.levels_read(document), after=since - _MEMORY),
        first_read=analytics.first_read(ad_account),
        curves=curves(ad_account),
        hindsight=hindsight,
    )


def answerable_from(archive: Archive) -> date | None:
    """The first account day on which every window of the document is known as it was; `None` while there is none.

    Days that came with the first read of an account were read long after they were over."""
    zone = archive.ad_account.timezone_name
    known = sorted(
        day for day, moment in archive.first_read.items() if days_of.today(moment, zone) <= day + days_of.DAY
    )
    if not known:
        return None
    longest = max(
        (_reach(spans.parse(window)) for _, window in snapshots.tables_wanted(archive.document)), default=0
    )
    return known[0] + days_of.DAY * longest


def _reach(span: Span | None) -> int:
    return span.count if span is not None and span.kind is not Kind.HOURS else 0


def at(archive: Archive, moment: datetime) -> Seen:
    """The account as it was known at `moment`, as far as the document asks."""
    found: list[tuple[tuple[str, str], Figures, Basis]] = list(_tables(archive, moment))
    tables: Tables = {key: figures for key, figures, _ in found}
    snapshot = snapshots.assemble(
        ad_account=archive.ad_account,
        now=moment,
        document=archive.document,
        rows=archive.tree.at(moment),
        tables=tables,
        sources=_sources(archive, moment),
    )
    basis = min((one for _, _, one in found), key=_WORST.index)
    return Seen(moment, snapshot, basis)


def _sources(archive: Archive, moment: datetime) -> pasts.Sources:
    """What rates are weighed on, as it was known at `moment`."""

    def days(ad_account: AdAccount, *, since: date, until: date, **more: Any) -> DaysTable:
        known = {day: first for day, first in archive.first_read.items() if since <= day <= until}
        late = max((first for first in known.values() if first > moment), default=moment)
        looked_at = late if archive.hindsight else moment
        read = frozenset(day for day, first in known.items() if first <= looked_at)
        return analytics.days_known_at(ad_account, at=looked_at, since=since, until=until, read=read, **more)

    def started(*, ad_account: AdAccount, object_ids: Collection[str]) -> dict[str, datetime]:
        return {
            step.object_id: step.at
            for step in archive.tree.steps
            if step.at <= moment
            and (step.field, step.after) == ("status", "ACTIVE")
            and step.object_id in object_ids
        }

    def learned(ad_account: AdAccount) -> dict[str, Curve]:
        return {base: curve for base, curve in archive.curves.items() if curve.learned_at <= moment}

    return pasts.Sources(days, learned, started)


def _tables(archive: Archive, moment: datetime) -> Iterator[tuple[tuple[str, str], Figures, Basis]]:
    for (level, window), names in snapshots.tables_wanted(archive.document).items():
        span = spans.parse(window)
        assert span is not None
        period = _period(archive, span, moment)
        if period is None:
            yield (level, window), _unknown(archive, names, moment, span), Basis.KNOWN
            continue
        yield ((level, window), *_known(archive, level, period, names, moment))


def _period(archive: Archive, span: Span, moment: datetime) -> Period | None:
    today = analytics.account_today(archive.ad_account, moment)
    if span.kind is Kind.HOURS:
        return None
    if span.kind is Kind.LIFETIME:
        since = _read_since(archive, today, moment)
        return None if since is None else Period(since, today)
    settled = _settled(archive, span.share, moment) if span.kind is Kind.MATURE else None
    days = spans.days(span, today=today, settled=settled)
    return None if days is None else Period(*days)


def _read_since(archive: Archive, today: date, moment: datetime) -> date | None:
    """Since when every day up to yesterday had been read by then, or with hindsight is read."""
    since: date | None = None
    day = today - days_of.DAY
    while (first := archive.first_read.get(day)) is not None and (archive.hindsight or first <= moment):
        since, day = day, day - days_of.DAY
    return since


def _settled(archive: Archive, share: int, moment: datetime) -> int | None:
    """As `snapshots` says it, of curves that were learned by then."""
    learned = {base: curve for base, curve in archive.curves.items() if curve.learned_at <= moment}
    base = RESULTS.get(archive.ad_account.client.result_action)
    asked = [base] if base else sorted(set(RESULTS.values()) & learned.keys())
    found = [spans.settled_after(learned[one].shares, share) if one in learned else None for one in asked]
    known = [one for one in found if one is not None]
    return max(known) if known and len(known) == len(found) else None


def _known(
    archive: Archive, level: str, period: Period, names: frozenset[str], moment: datetime
) -> tuple[Figures, Basis]:
    first = [archive.first_read.get(day) for day in period]
    late = max((one for one in first if one is not None and one > moment), default=None)
    looked_at = late if late is not None and archive.hindsight else moment
    table = analytics.as_known_at(
        archive.ad_account,
        at=looked_at,
        level=level,
        since=period.since,
        until=period.until,
        metrics=sorted(names),
    )
    unread = sum(one is None or one > looked_at for one in first)
    basis = Basis.KNOWN if table.exact else Basis.WITHIN_HOUR
    basis = Basis.UNREAD if unread else Basis.HINDSIGHT if late is not None else basis
    header = _header(
        archive,
        period,
        table.answers_for,
        _trust(unread, period, any(_lit(row.values) for row in table.rows)),
    )
    look = Look(period.since, period.until, Trust(header.trust.state), header.trust.reasons)
    values = {row.object_id: row.values for row in table.rows}
    empty = snapshots.nothing_delivered(archive.ad_account, names, header)
    return Figures(look, header, values, empty), basis


def _lit(values: Mapping[str, Decimal | None]) -> bool:
    return any(value for value in values.values())


def _trust(unread: int, period: Period, lit: bool) -> KnownTrust:
    if unread == period.days:
        return KnownTrust("unavailable", ("Nothing of this period had been read by then.",))
    if unread:
        return KnownTrust("partial", (f"{unread} of {period.days} days had not been read by then.",))
    return KnownTrust("ready") if lit else KnownTrust("empty", ("Nothing was delivered in this period.",))


def _unknown(archive: Archive, names: frozenset[str], moment: datetime, span: Span) -> Figures:
    """A window of which nobody can tell any more what was known."""
    why = {
        Kind.HOURS: "Single hours are not kept as they were.",
        Kind.MATURE: "The completeness that was known then is not kept.",
    }.get(span.kind, "No day had been read by then.")
    today = analytics.account_today(archive.ad_account, moment)
    header = _header(archive, Period(today, today), moment, KnownTrust("unavailable", (why,)))
    return Figures(Look(None, None, Trust.UNAVAILABLE, (why,)), header, {}, dict.fromkeys(names))


def _header(archive: Archive, period: Period, as_of: datetime, trust: KnownTrust) -> Header:
    return Header(
        currency=archive.ad_account.currency,
        zone=archive.ad_account.timezone_name,
        since=period.since,
        until=period.until,
        data_version=0,  # versions are not kept with their instants
        checked_at=None,
        data_as_of=as_of,
        trust=trust,
    )
