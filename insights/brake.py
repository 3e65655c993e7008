"""The brake: what spends past a limit that a person has set is paused, though queue and workers are dead.

    each account every five minutes, every minute from 85 % of a limit on
        -> what Meta says was spent today: one call, one more per level that has a limit of its own
        -> with the days before: every envelope; at the pace of the last quarter of an hour, reached by the next look?
             a limit that a person has set   everything that runs under it is paused, as one batch, and people are told
             the careful one of the first day   people are told: nobody has decided that it shall stop anything

It can only pause, by a change like any other: guards, ledger, one sender. What it has paused under a limit it does not
pause again under the same one: whoever lets it run on has decided. What cannot be read now is read a minute later; that
nothing can be read is told elsewhere (`accounts.sentinel`).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import accounts.access as access
import accounts.alerts as alerts
import accounts.claims as claims
import campaigns.changes.approvals as approvals
import campaigns.changes.headroom as headroom
import campaigns.changes.request as request
import campaigns.queries as queries
import campaigns.tasks as changes
import insights.fetch as fetch
import insights.samples as samples
from accounts.errors import Refused
from accounts.models import AdAccount
from campaigns.changes.envelopes import SOFT, Period, Scope, money, window
from campaigns.models import Change, Envelope
from campaigns.states import IN_FLIGHT, ChangeState, Field, Level, Source
from insights.errors import BadRow
from metaads.clock import monotonic
from metaads.clock import now as clock_now
from metaads.graph.errors import GraphError
from metaads.graph.paging import CursorExpired
from metaads.quota import Blocked

log = logging.getLogger("metaads.watchdog")

EVERY: Final = timedelta(minutes=5)
CLOSE: Final = timedelta(minutes=1)
PACE_OF: Final = timedelta(minutes=15)
HOUR: Final = timedelta(hours=1)
#: Seconds after which a round begins nothing more: whoever else the watchdog serves waits meanwhile.
ROUND: Final = 20.0
_UNREAD: Final = (Blocked, GraphError, CursorExpired, Refused, BadRow)
_NAMES: Final = uuid.UUID("6f1c1f0e-4a53-4f5e-9d0b-5d2d6c1f9a11")
_OPEN: Final = sorted(state.value for state in IN_FLIGHT | {ChangeState.APPROVED})


class _Seen(NamedTuple):
    at: datetime
    day: date
    spend: Decimal


class Brake:
    """One process's brake. It remembers what it saw of the last hour; a new one begins with what stands in the samples,
    and so knows no pace of a single campaign for a few minutes."""

    def __init__(self) -> None:
        self._due: dict[int, datetime] = {}
        self._seen: dict[tuple[int, str], list[_Seen]] = {}

    def round(self, now: datetime) -> int:
        """Look at every account that is due, longest waiting first; how many were looked at."""
        began, looked = monotonic(), 0
        rows = AdAccount.everything.filter(enabled_at__isnull=False, archived_at__isnull=True)
        rows = rows.filter(claims.readable()).select_related("client", "connection")
        for account in sorted(rows, key=lambda one: self._due.get(one.pk, now - EVERY)):
            if self._due.get(account.pk, now) > now or monotonic() - began > ROUND:
                continue
            looked += 1
            self._due[account.pk] = now + CLOSE
            try:
                self._due[account.pk] = now + (CLOSE if self.look(ad_account=account, now=now) else EVERY)
            except _UNREAD as no:
                log.warning("the brake could not look at %s: %s", account.act_id, no)
            except Exception:  # one account's trouble must not keep the brake from the others
                log.exception("the brake failed at %s", account.act_id)
        self._let_go(now)
        return looked

    def _let_go(self, now: datetime) -> None:
        """End the alerts of accounts that are switched off: nobody looks at them any more."""
        told = {key: owner for owner, key in alerts.standing() if key.startswith("brake:")}
        off = AdAccount.everything.filter(pk__in={int(key.split(":")[1]) for key in told})
        off = off.exclude(enabled_at__isnull=False, archived_at__isnull=True).select_related("client")
        for account in off:
            self._end(account, kept=frozenset(), now=now)

    def _end(self, ad_account: AdAccount, *, kept: Collection[str], now: datetime) -> None:
        """End the account's alerts but those kept: below its limit again, or the limit was taken away."""
        for key in alerts.open_keys(prefix=f"brake:{ad_account.pk}:", client=ad_account.client):
            if key not in kept:
                alerts.close(client=ad_account.client, key=key, now=now)

    def look(self, *, ad_account: AdAccount, now: datetime) -> bool:
        """One look; whether a limit is near. Raises what the read raises."""
        caps = [cap for cap in headroom.caps_of(ad_account) if cap.period != Period.RISE]
        near, told = False, self._foreign(ad_account, now)
        if caps:
            today = headroom.today_of(ad_account, now)
            spent, totals = fetch.today_spend(
                ad_account=ad_account, levels=_levels(ad_account, caps), today=today
            )
            samples.keep(ad_account=ad_account, day=today, totals=totals, now=now)
            self._remember(ad_account, spent, today, now)
        for cap in caps:
            so_far = self._so_far(cap, ad_account, now)
            soon = so_far + self._pace(cap, ad_account, now) * int(EVERY.total_seconds())
            if soon >= cap.amount and spent[""] > 0:
                key = f"brake:{ad_account.pk}:{cap.pk}"
                told.add(key)
                self._stop(cap, ad_account, so_far, today, key=key, now=now)
            near |= soon >= cap.amount * SOFT
        self._end(ad_account, kept=told, now=now)
        return near

    def _foreign(self, ad_account: AdAccount, now: datetime) -> set[str]:
        """Tell of limits in a currency that the account has no more: nobody would see that they stop nothing."""
        foreign = headroom.foreign_caps(ad_account)
        if not foreign:
            return set()
        key = f"brake:{ad_account.pk}:currency"
        limits = ", ".join(sorted({f"{money(cap.amount)} {cap.currency}" for cap in foreign}))
        alerts.open_(
            client=ad_account.client,
            key=key,
            title=f"Limits of {ad_account.name} stop nothing any more: its currency is {ad_account.currency} now",
            advice=f"Set its limits anew in {ad_account.currency} on the ad account's page of limits; those in another "
            f"currency ({limits}) are not converted. Until then nothing there may spend more, and nothing that runs "
            "is paused by them.",
            severity="critical",
            now=now,
        )
        return {key}

    def _remember(
        self, ad_account: AdAccount, spent: Mapping[str, Decimal], today: date, now: datetime
    ) -> None:
        for object_id, spend in spent.items():
            kept = [one for one in self._seen.get((ad_account.pk, object_id), []) if one.at > now - HOUR]
            self._seen[ad_account.pk, object_id] = [*kept, _Seen(now, today, spend)]

    def _so_far(self, cap: Envelope, ad_account: AdAccount, now: datetime) -> Decimal:
        of = self._of(cap, ad_account)
        if cap.period != Period.HOUR:
            fresh = {one.pk: today for one in of if (today := self._today(one, now))}
            return headroom.spent(cap, ad_account=ad_account, today_spend=fresh, now=now)
        if cap.object_id:
            return self._since(ad_account, cap.object_id, now - HOUR)
        found = samples.spent(ad_account_ids=[one.pk for one in of], since=now - HOUR)
        return sum(found.values(), Decimal(0))

    def _of(self, cap: Envelope, ad_account: AdAccount) -> list[AdAccount]:
        return headroom.siblings(ad_account) if cap.scope == Scope.CLIENT else [ad_account]

    def _today(self, ad_account: AdAccount, now: datetime) -> dict[str, Decimal]:
        """What the last look at an account saw of the day that runs there; nothing, where that was long ago."""
        today = headroom.today_of(ad_account, now)
        return {
            object_id: seen[-1].spend
            for (account_id, object_id), seen in self._seen.items()
            if account_id == ad_account.pk and seen[-1].day == today and seen[-1].at > now - HOUR
        }

    def _since(self, ad_account: AdAccount, object_id: str, moment: datetime) -> Decimal:
        by_day: dict[date, list[Decimal]] = {}
        for one in self._seen.get((ad_account.pk, object_id), []):
            if one.at >= moment:
                by_day.setdefault(one.day, []).append(one.spend)
        return sum((max(spends) - min(spends) for spends in by_day.values()), Decimal(0))

    def _pace(self, cap: Envelope, ad_account: AdAccount, now: datetime) -> Decimal:
        """Money a second, as this process saw it; an hour's limit is a pace itself."""
        total = Decimal(0)
        if cap.period == Period.HOUR:
            return total
        for account in self._of(cap, ad_account):
            seen = [one for one in self._seen.get((account.pk, cap.object_id), []) if one.at >= now - PACE_OF]
            seconds = int((now - seen[0].at).total_seconds()) if seen else 0
            if seconds >= CLOSE.total_seconds():
                total += self._since(account, cap.object_id, now - PACE_OF) / seconds
        return total

    def _stop(
        self,
        cap: Envelope,
        ad_account: AdAccount,
        so_far: Decimal,
        today: date,
        *,
        key: str,
        now: datetime,
    ) -> None:
        who = _name(cap, ad_account)
        title = f"{who} has spent {money(so_far)} of {money(Decimal(cap.amount))} {cap.currency} {_when(cap)}"
        if not headroom.chosen(cap):
            advice = (
                "Nothing is paused: this is the careful limit of the first day, and nobody has decided on it. "
                "Look at the account, then set the limit that shall hold; past that one everything is paused."
            )
        else:
            advice = _paused(cap, ad_account, title, today, now=now)
        alerts.open_(
            client=ad_account.client, key=key, title=title, advice=advice, severity="critical", now=now
        )


def carry_on(now: datetime) -> int:
    """Take the brake's own pauses a step further, as the workers would; how many."""
    began, taken = monotonic(), 0
    rows = Change.everything.filter(source=Source.WATCHDOG.value, state__in=_OPEN)
    due = rows.exclude(not_before__gt=now).exclude(lease_until__gt=now).order_by("not_before", "pk")
    for change_id in [str(uuid_) for uuid_ in due.values_list("uuid", flat=True)[:100]]:
        if monotonic() - began > ROUND:
            break
        taken += 1
        try:
            changes.step(change_id, clock_now())
        except Exception:  # one pause that cannot be moved must not keep the others
            log.exception("the pause %s could not be taken a step on", change_id)
    return taken


def _levels(ad_account: AdAccount, caps: Sequence[Envelope]) -> list[str]:
    """Which levels have to be read beside the account's own."""
    found = set()
    for cap in caps:
        if cap.object_id:
            campaign = queries.stored(ad_account=ad_account, level=Level.CAMPAIGN, object_id=cap.object_id)
            found.add("campaign" if campaign is not None else "adset")
    return sorted(found)


def _paused(cap: Envelope, ad_account: AdAccount, title: str, today: date, *, now: datetime) -> str:
    """Have everything that runs under the limit paused; what is said of it."""
    first, _ = window(Period(cap.period), today)
    name = f"brake:{cap.pk}:{cap.set_at:%Y%m%dT%H%M%S}:{first}"
    asked, refused = 0, ""
    product = access.system(ad_account.client)
    for level, object_id in headroom.running(ad_account=ad_account, under=cap.object_id, now=now):
        try:
            change = request.file(
                principal=product,
                ad_account=ad_account,
                level=level,
                object_id=object_id,
                field=Field.STATUS,
                target="PAUSED",
                reason=f"{title}: the limit is reached.",
                source=Source.WATCHDOG,
                key=f"{name}:{object_id}",
                evidence=None,
                now=now,
                batch=uuid.uuid5(_NAMES, name),
            )
            change = approvals.approve_by_policy(change=change, policy="watchdog", now=now, principal=product)
        except Refused as no:  # the next one is asked for all the same, and people hear of this one
            refused = str(no)
            continue
        if change.state == ChangeState.REJECTED:
            refused = change.error_text
        elif change.created_at == now or change.state in _OPEN:
            asked += 1
    if refused:
        return f"It could not be paused: {refused} Pause it in Ads Manager now."
    if asked:
        what = "1 pause is" if asked == 1 else f"{asked} pauses are"
        return f"{what} on the way; see the ledger. To let it spend more, raise the limit, then start what shall run."
    return (
        "What runs under it was paused, or somebody has let it run on. To let it spend more, raise the limit."
    )


def _name(cap: Envelope, ad_account: AdAccount) -> str:
    if cap.scope == Scope.CLIENT:
        return f"{ad_account.client.name} (its accounts in {cap.currency})"
    if cap.scope == Scope.ACCOUNT:
        return f"The ad account {ad_account.name}"
    found = None
    for level in (Level.CAMPAIGN, Level.AD_SET):
        found = found or queries.stored(ad_account=ad_account, level=level, object_id=cap.object_id)
    return f"The {found.level.words} “{found.name}”" if found is not None else f"{cap.object_id}"


def _when(cap: Envelope) -> str:
    return {
        Period.HOUR: "within an hour",
        Period.DAY: "today",
        Period.WEEK: "this week",
        Period.MONTH: "this month",
    }.get(Period(cap.period), "so far")
