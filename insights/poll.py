"""The 30-second tick: probe cheaply, fetch only what moved.

accounts that are switched on, readable, synced once, and due -> schedule.order
    -> claim (a guarded update: two workers never look twice) -> probe: one account-level read of today
    -> moved, or the account's day has turned, or a fetch is left over -> fetch.refresh
    -> when to look again: schedule.next_check; blocked: not before Meta allows it
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.audit as audit
import accounts.claims as claims
import insights.fetch as fetch
import insights.interest as interest
import insights.samples as samples
import metaads.graph.money as money
import metaads.quota as quota
from accounts.errors import Refused
from accounts.models import AdAccount
from accounts.tenancy import Principal
from insights.models import FetchRun, PollState
from insights.progress import LONG
from insights.schedule import Look, learned, next_check, order
from insights.windows import today
from metaads.graph.errors import GraphError, Throttled
from metaads.quota import Blocked

log = logging.getLogger(__name__)

#: Accounts looked at in one tick; the rest are due again at the next one, oldest first.
MOST: Final = 100
_CLAIM: Final = timedelta(minutes=5)
_SLACK: Final = timedelta(seconds=5)
#: How fast an account spends is what it spent in this time.
_LATELY: Final = timedelta(hours=1)


def tick(*, now: datetime) -> int:
    """Look at every account that is due; returns how many were looked at. None while the installation does not poll."""
    if not settings.POLLING:
        return 0
    weights = interest.weights(now=now)
    interest.forget(now=now)
    accounts = {account.pk: account for account in _pollable()}
    states = _states(accounts, now)
    paces = quota.paces(scopes=[account.act_id for account in accounts.values()], now=now)
    looks = {pk: _look(accounts[pk], state, weights, paces) for pk, state in states.items()}
    due = [
        looks[pk]
        for pk, state in states.items()
        if not state.stopped and (_due(state, now) or _watched_early(state, looks[pk], now))
    ]
    looked = 0
    for look in order(_with_velocity(due, accounts, now), now=now)[:MOST]:
        state = states[look.ad_account_id]
        if not _claim(state, now):
            continue
        looked += 1
        try:
            check(ad_account=accounts[look.ad_account_id], state=state, look=look, now=now)
        except Exception:
            # One account's surprise must not keep the others from being looked at.
            log.exception("Looking at %s failed.", accounts[look.ad_account_id].act_id)
            _failed(state, look, "The last look failed here; it is tried again.", now)
    return looked


def check(*, ad_account: AdAccount, state: PollState, look: Look, now: datetime) -> bool:
    """Look at one account once; True when its data had moved and was fetched to the end."""
    try:
        found = fetch.today_totals(ad_account=ad_account)
    except (Blocked, Throttled) as wait:
        until = (
            wait.until
            if isinstance(wait, Blocked)
            else now + timedelta(seconds=wait.answer.retry_after or 300)
        )
        _save(state, look, now, reason=f"Waiting: {wait}", until=until)
        return False
    except GraphError as error:
        _failed(state, look, f"Meta did not answer properly. {error.answer.advice}", now)
        return False
    except Refused as no:
        _failed(state, look, str(no), now)
        return False
    ad_accounts.heard(ad_account_id=ad_account.pk, now=now)
    day = today(now, ad_account.timezone_name)
    samples.keep(ad_account=ad_account, day=day, totals=found, now=now)
    probe = {**found, "day": day.isoformat()}
    moved = probe != state.probe
    state.checked_at, state.failures, state.reason = now, 0, ""
    if not moved and not state.pending:
        state.quiet += 1
        _save(state, _paced(look, ad_account, now), now)
        return False
    if moved:
        _moved(state, probe, now)
    run = fetch.refresh(ad_account=ad_account, now=now)
    state.pending = run.state != "done"
    state.reason = run.sentence if state.pending else ""
    later = run.not_before if run.state == "waiting" else None
    _save(state, _paced(look, ad_account, now), now, until=later)
    return not state.pending


def _moved(state: PollState, probe: dict[str, str], now: datetime) -> None:
    """Learn when the data moves. The first look, and the one after midnight, see new numbers but no move."""
    same_day = state.probe.get("day") == probe["day"]
    if same_day and state.data_as_of is not None:
        state.period_seconds = learned(
            state.period_seconds, interval=(now - state.data_as_of).total_seconds()
        )
    if state.probe:
        state.data_as_of = now if same_day else None
    state.quiet, state.probe = 0, probe


def next_look(ad_account: AdAccount) -> datetime | None:
    """When the account is looked at next; None while it is not polled."""
    if not settings.POLLING:
        return None
    row = PollState.objects.of(ad_account).filter(stopped=False).first()
    return row.next_check_at if row is not None else None


def stop(*, ad_account: AdAccount, principal: Principal, now: datetime) -> None:
    """No more looks at this account until `start`; it stays connected, and what was read stays."""
    _change(ad_account, principal, now, stopped=True)


def start(*, ad_account: AdAccount, principal: Principal, now: datetime) -> None:
    """Look at this account again, in the next tick."""
    _change(ad_account, principal, now, stopped=False)


def wake(*, ad_account_ids: Sequence[int], now: datetime) -> int:
    """Look at these accounts in the next tick; how many rested. A wait that Meta asked for is never cut short."""
    resting = PollState.everything.filter(
        ad_account_id__in=ad_account_ids, stopped=False, reason="", next_check_at__gt=now
    )
    return resting.update(next_check_at=now)


def _change(ad_account: AdAccount, principal: Principal, now: datetime, *, stopped: bool) -> None:
    access.require(principal, "connect", ad_account.client_id)
    with transaction.atomic():
        PollState.everything.get_or_create(ad_account_id=ad_account.pk, defaults={"next_check_at": now})
        rows = PollState.objects.of(ad_account).filter(stopped=not stopped)
        if rows.update(stopped=stopped, next_check_at=now):
            audit.record(
                principal=principal,
                client=ad_account.client,
                verb="stop_looks" if stopped else "start_looks",
                subject=ad_account.act_id,
                now=now,
            )


def _pollable() -> list[AdAccount]:
    """Switched on, connected, and its newest days read once: before that there is nothing to compare with. How far
    history is does not matter."""
    read = Q(state="done") | Q(done__gte=fetch.NEWEST_DAYS)
    synced = FetchRun.everything.filter(read, kind__in=LONG).values("ad_account_id")
    rows = AdAccount.everything.filter(
        enabled_at__isnull=False,
        archived_at__isnull=True,
        pk__in=synced,
    )
    return list(rows.filter(claims.readable()).select_related("client", "connection"))


def _states(accounts: Mapping[int, AdAccount], now: datetime) -> dict[int, PollState]:
    found = {row.ad_account_id: row for row in PollState.everything.filter(ad_account_id__in=accounts)}
    for pk in accounts.keys() - found.keys():
        found[pk], _ = PollState.everything.get_or_create(ad_account_id=pk, defaults={"next_check_at": now})
    return found


def _look(
    ad_account: AdAccount, state: PollState, weights: Mapping[int, int], paces: Mapping[str, int]
) -> Look:
    return Look(
        ad_account_id=ad_account.pk,
        client_id=ad_account.client_id,
        poll_seconds=ad_account.poll_seconds or settings.POLL_SECONDS,
        weight=weights.get(ad_account.pk, 0),
        quiet=state.quiet,
        failures=state.failures,
        checked_at=state.checked_at,
        data_as_of=state.data_as_of,
        period_seconds=state.period_seconds,
        slower=paces[ad_account.act_id],
    )


def _with_velocity(looks: Sequence[Look], accounts: Mapping[int, AdAccount], now: datetime) -> list[Look]:
    spent = samples.spent(ad_account_ids=[look.ad_account_id for look in looks], since=now - _LATELY)
    return [
        replace(look, velocity=int(spent.get(look.ad_account_id, 0) / _unit(accounts[look.ad_account_id])))
        for look in looks
    ]


def _unit(ad_account: AdAccount) -> Decimal:
    currency = ad_account.currency
    return money.minor_unit(currency) if money.known(currency) else Decimal("0.01")


def _paced(look: Look, ad_account: AdAccount, now: datetime) -> Look:
    """The look's own answers may have said that Meta's limits are fuller by now."""
    return replace(look, slower=quota.paces(scopes=[ad_account.act_id], now=now)[ad_account.act_id])


def _due(state: PollState, now: datetime) -> bool:
    """A tick a moment early must not cost a whole round; a wait that Meta asked for is kept to the second."""
    return state.next_check_at <= (now if state.reason else now + _SLACK)


def _watched_early(state: PollState, look: Look, now: datetime) -> bool:
    """Somebody opened the page while the account slept; a wait that Meta asked for is never cut short."""
    if state.reason or state.failures or state.checked_at is None:
        return False
    return next_check(look, now=state.checked_at) <= now


def _claim(state: PollState, now: datetime) -> bool:
    rows = PollState.everything.filter(pk=state.pk, next_check_at=state.next_check_at)
    return bool(rows.update(next_check_at=now + _CLAIM))


def _failed(state: PollState, look: Look, reason: str, now: datetime) -> None:
    state.failures += 1
    _save(state, look, now, reason=reason)


def _save(
    state: PollState, look: Look, now: datetime, *, reason: str | None = None, until: datetime | None = None
) -> None:
    if reason is not None:
        state.reason = reason[:300]
    after = replace(
        look,
        quiet=state.quiet,
        failures=state.failures,
        checked_at=state.checked_at,
        data_as_of=state.data_as_of,
        period_seconds=state.period_seconds,
    )
    state.next_check_at = max(until, now) if until is not None else next_check(after, now=now)
    state.save()
