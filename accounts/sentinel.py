"""The watch over connections: checks tokens, and keeps one alert per trouble, opened and closed from what is stored.

tend   deletions that may be finished            -> done
       grants, links, answers and sessions past
         their time                              -> deleted
       tokens that near their end -> renewed, or -> expiring
       due connections -> validate (asks Meta)   -> states; once a day what they see -> ad accounts, grants
       states, dates, silence, statuses, notices,
         mails that do not leave                -> alerts (opened, renewed or closed; safe to run twice)
       accounts that are switched on -> Meta tells us what changes there

A round has a time to come to its end, since a worker that takes too long is killed; what was left waits for the next.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import F, Q

import accounts.ad_accounts as ad_accounts
import accounts.alerts as alerts
import accounts.connections as connections
import accounts.deletions as deletions
import accounts.grants as grants
import accounts.idempotency as idempotency
import accounts.leases as leases
import accounts.outbox as outbox
import accounts.sessions as sessions
import accounts.subscriptions as subscriptions
import metaads.strikes as strikes
from accounts.models import READABLE, AdAccount, Client, ConnectionState, MetaConnection
from metaads.clock import monotonic
from metaads.notices import forget_retired, open_notices

log = logging.getLogger(__name__)

_SILENT_ADVICE: Final = (
    "The numbers are old, and automation rests. Look at the connection, and at Meta's status page."
)
CHECK_EVERY: Final = timedelta(hours=24)
DOUBTFUL_EVERY: Final = timedelta(minutes=10)
_HEARD_WITHIN: Final = timedelta(hours=1)
#: From so many ad accounts of a client on, silence is one trouble and not many.
_MANY: Final = 4
#: People are warned when a token, or its access to data, ends in so many days.
WARN_DAYS: Final = (1, 3, 7, 14)
#: Stages of a connection's alert from which only a person, or Meta's word, leads back. The callback that learns of a
#: removal opens the alert without a stage.
_RECONNECT: Final = "reconnect"
_REMOVED: Final = ""
_OVER: Final = (_RECONNECT, _REMOVED)
#: Meta is asked no more after so long; one answer may still be half a minute away (`task_time_limit` is 120).
ROUND_SECONDS: Final = 40.0
_AT_ONCE: Final = 20
_RECHECKED_AT_ONCE: Final = 50
_CHECKED_STATES: Final = (*READABLE, ConnectionState.REAUTH_NEEDED)


def tend(*, now: datetime) -> int:
    """One round; how many connections were checked at Meta."""
    # What needs nobody's answer comes first: a slow Meta keeps no token longer than it may be kept.
    deletions.sweep(now=now)
    grants.sweep(now=now)
    idempotency.sweep(now=now)
    sessions.sweep(now=now)
    checked = check_due(now=now)
    reconcile(now=now)
    subscriptions.tend(now=now)
    return checked


def check_due(*, now: datetime) -> int:
    """Renew what nears its end; ask Meta about each connection once a day, about doubtful ones every ten minutes.
    Twenty a round, those first that were not looked at for the longest; returns how many."""
    until = monotonic() + ROUND_SECONDS
    rows = MetaConnection.everything.filter(state__in=_CHECKED_STATES).select_related("client").defer("token")
    for row in rows:
        if monotonic() < until:
            with _alone(row):
                connections.renew_due(connection=row, now=now)
        connections.note_end(connection=row, now=now)
    done = leases.running(prefix=connections.DAILY, now=now)
    oldest = rows.order_by(F("checked_at").asc(nulls_first=True))
    due = [row for row in oldest if _due(row, now) or _unseen(row, done)][:_AT_ONCE]
    looked = 0
    for row in due:
        if monotonic() >= until:
            break
        with _alone(row):
            connections.look_after(connection=row, now=now)
        looked += 1
    return looked


@contextlib.contextmanager
def _alone(row: MetaConnection) -> Iterator[None]:
    """Whatever one connection suffers, the others are looked after."""
    try:
        yield
    except Exception:
        log.exception("connection %s could not be looked after", row.uuid)


def _due(row: MetaConnection, now: datetime) -> bool:
    if row.checked_at is None or row.checked_at < now - CHECK_EVERY:
        return True
    doubtful = row.held or row.state in (ConnectionState.DEGRADED, ConnectionState.REAUTH_NEEDED)
    over = any(end is not None and end <= now for end in (row.expires_at, row.data_access_expires_at))
    return (doubtful or over) and row.checked_at < now - DOUBTFUL_EVERY


def _unseen(row: MetaConnection, done: set[str]) -> bool:
    """Calls go well all day long, and nobody has asked today what the connection still may and sees."""
    return row.state in READABLE and connections.daily_name(row) not in done


def recheck(*, now: datetime, clients: Collection[int] | None = None) -> int:
    """Ask Meta about connections that nothing was heard of for ten minutes (of these clients' ids, or of all);
    returns how many. For the start of a process, and for a sign-in: after its answer, never before."""
    stale = Q(checked_at__isnull=True) | Q(checked_at__lt=now - DOUBTFUL_EVERY)
    rows = MetaConnection.everything.filter(stale, state__in=_CHECKED_STATES)
    if clients is not None:
        rows = rows.filter(client_id__in=clients)
    until, asked = monotonic() + ROUND_SECONDS, 0
    for row in list(rows.order_by(F("checked_at").asc(nulls_first=True))[:_RECHECKED_AT_ONCE]):
        if monotonic() >= until:
            break
        with _alone(row):
            connections.validate(connection=row, now=now)
        asked += 1
    return asked


def reconcile(*, now: datetime) -> None:
    """Make the open alerts say what the stored states say."""
    standing = alerts.standing()
    for connection in MetaConnection.everything.select_related("client").defer("token"):
        key = f"connection:{connection.uuid}"
        _connection(connection, key, standing.get((connection.client_id, key)), now)
    # Archived ones too: what was opened a moment before somebody archived them has to close.
    accounts = AdAccount.everything.select_related("client", "connection").defer("connection__token")
    of_client: dict[int, list[AdAccount]] = {}
    for account in accounts:
        of_client.setdefault(account.client_id, []).append(account)
        # Nearly all are well and have no alert; those cost no query.
        if not _well(account) or (account.client_id, f"account-status:{account.act_id}") in standing:
            _status(account, now)
    for client_id, mine in of_client.items():
        known = frozenset(key for at, key in standing if at == client_id)
        _silences(mine, mine[0].client, known, now)
    _notices(now)
    _put_aside((key for at, key in standing if at is None), now)
    _mails(now)


def _connection(connection: MetaConnection, key: str, stage: str | None, now: datetime) -> None:
    """`stage` is the open alert's, None where there is none."""
    if connection.state in READABLE and stage in _OVER:
        # It was ended and is alive again. Should it end once more, that is another trouble: people hear of both.
        alerts.close(client=connection.client, key=key, now=now)
        stage = None
    name = connection.meta_user_name or connection.meta_user_id
    reconnect = "Reconnect the Meta account on the connections page; changes rest until then."
    if connection.state == ConnectionState.REAUTH_NEEDED:
        title, advice, severity = (
            f"{name} has to be reconnected",
            f"{connection.reason} {reconnect}",
            "critical",
        )
        told = _RECONNECT
    elif connection.state in READABLE and (ends := _ends(connection, key, stage or "", now)) is not None:
        _ending(connection, key, ends, now)
        return
    elif connection.state == ConnectionState.DEGRADED:
        title, severity, told = f"Meta doubts the connection of {name}", "warning", "doubtful"
        advice = "It is checked again every ten minutes; changes rest until it is good."
    elif connection.state == ConnectionState.REVOKED and connection.reason == connections.REMOVED_AT_META:
        title, advice, severity = deletions.removed_title(name), deletions.REMOVED_ADVICE, "critical"
        told = _REMOVED
    else:
        if stage is not None:
            alerts.close(client=connection.client, key=key, now=now)
        return
    alerts.open_(
        client=connection.client,
        key=key,
        title=title,
        advice=advice.strip(),
        severity=severity,
        stage=told,
        now=now,
    )


@dataclass(frozen=True)
class _Ends:
    """The nearer end of a connection, and how near: the least of `WARN_DAYS` that it lies within."""

    at: datetime
    of_data: bool
    days: int


def _ends(connection: MetaConnection, key: str, known: str, now: datetime) -> _Ends | None:
    """What people are to be warned of; None while it is far. `known`: the stage that they were told of.

    Only instants are compared: no zone, no calendar.
    """
    token, data = connection.expires_at, connection.data_access_expires_at
    at = min((end for end in (token, data) if end is not None), default=None)
    if at is None:
        return None
    days = next((days for days in WARN_DAYS if at - now <= timedelta(days=days)), None)
    if known.isdecimal() and (days is None or days > int(known)):
        if at - now <= timedelta(days=int(known), hours=1):
            days = int(
                known
            )  # another machine's clock is a little behind; the stage never goes back for that
        else:  # it was renewed, and for a short time only: another end, with warnings of its own
            alerts.close(client=connection.client, key=key, now=now)
    return None if days is None else _Ends(at=at, of_data=at == data and at != token, days=days)


def _ending(connection: MetaConnection, key: str, ends: _Ends, now: datetime) -> None:
    left = ends.at - now
    if left <= timedelta(0):
        words = "has ended"
    elif left < timedelta(days=1):
        hours = max(1, round(left / timedelta(hours=1)))
        words = f"ends in {hours} hour{'s' if hours != 1 else ''}"
    else:
        days = round(left / timedelta(days=1))
        words = f"ends in {days} day{'s' if days != 1 else ''}"
    what = "Meta's permission to read data" if ends.of_data else "The token"
    when = (
        f"{'ended' if left <= timedelta(0) else 'ends'} on {ends.at.astimezone(UTC):%-d %B %Y at %H:%M} UTC"
    )
    alerts.open_(
        client=connection.client,
        key=key,
        title=f"The connection of {connection.meta_user_name or connection.meta_user_id} {words}",
        advice=f"{what} {when}. Reconnect the Meta account on the connections page; "
        "without it no numbers arrive and no change is sent.",
        severity="critical" if ends.days <= 3 else "warning",
        stage=str(ends.days),
        now=now,
    )


def _silences(accounts: Sequence[AdAccount], client: Client, known: frozenset[str], now: datetime) -> None:
    """One alert per silent ad account. It is mailed only where nothing else says why: a connection that cannot be
    read has an alert of its own (and an hour to be heard of again when that has closed), and so have many accounts of
    one client that fall silent together. `known`: keys of the client's open alerts."""
    silent = {account.pk: _missed_since(account, now) for account in accounts}
    renewed: frozenset[str] = frozenset()
    if any(silent.values()):
        renewed = alerts.closed_keys(prefix="connection:", client=client, since=now - _HEARD_WITHIN)
    unexplained = [
        account for account in accounts if silent[account.pk] and not _explained(account.connection, renewed)
    ]
    many = len(unexplained) >= _MANY
    for account in accounts:
        since = silent[account.pk]
        mailed = account in unexplained and not many
        if since is not None or f"silence:{account.act_id}" in known:
            _silence(account, since, severity="warning" if mailed else "info", now=now)
    if not many:
        if "silence" in known:
            alerts.close(client=client, key="silence", now=now)
        return
    names = ", ".join(account.name for account in unexplained[:_MANY])
    alerts.open_(
        client=client,
        key="silence",
        title=f"No answer from Meta for {len(unexplained)} ad accounts in {settings.SILENCE_HOURS} hours",
        advice=f"{names[:250]}{' and others' if len(unexplained) > _MANY else ''}. {_SILENT_ADVICE}",
        severity="warning",
        now=now,
    )


def _missed_since(account: AdAccount, now: datetime) -> datetime | None:
    """Since when an answer is missed: what was off has not been asked, so its silence counts from its switching on."""
    since = account.silent_since(now=now)
    if since is None or account.enabled_at is None or since >= account.enabled_at:
        return since
    return account.enabled_at if now - account.enabled_at >= timedelta(hours=settings.SILENCE_HOURS) else None


def _explained(connection: MetaConnection | None, renewed: frozenset[str]) -> bool:
    """Whether people know already why nothing is heard through it."""
    if connection is None:
        return False
    if connection.state == ConnectionState.REVOKED:
        return connection.reason == connections.REMOVED_AT_META
    return connection.state not in READABLE or f"connection:{connection.uuid}" in renewed


def _silence(account: AdAccount, since: datetime | None, *, severity: str, now: datetime) -> None:
    key = f"silence:{account.act_id}"
    if since is None:
        alerts.close(client=account.client, key=key, now=now)
        return
    hours = int((now - since).total_seconds() // 3600)
    alerts.open_(
        client=account.client,
        key=key,
        title=f"No answer from Meta for {account.name} in {hours} hours",
        advice=_SILENT_ADVICE,
        severity=severity,
        now=now,
    )


def _well(account: AdAccount) -> bool:
    """Nothing to say about its status: Meta calls it active, or nobody waits for it."""
    return not account.enabled or account.account_status == 1


def _status(account: AdAccount, now: datetime) -> None:
    """Open while Meta does not call the account active: what it is, what it was, and since when."""
    key = f"account-status:{account.act_id}"
    if _well(account):
        alerts.close(client=account.client, key=key, now=now)
        return
    status, reason = account.account_status, account.disable_reason
    change = ad_accounts.last_change(account)
    since = ""
    if change is not None and change.after == (status, reason):
        since = (
            f"It was {ad_accounts.standing(*change.before).lower()} until {change.at:%d %b %Y %H:%M} UTC. "
        )
    alerts.open_(
        client=account.client,
        key=key,
        title=f"{account.name} is not active at Meta: {ad_accounts.standing(status, reason).lower()}",
        advice=f"{since}{ad_accounts.status_advice(status)}",
        severity="critical" if ad_accounts.tone(status) == "bad" else "warning",
        now=now,
        stage=f"{status}:{reason}",
    )


def _notices(now: datetime) -> None:
    """Meta's warnings (a version that is about to end) concern the installation: owners see them."""
    forget_retired(now=now)
    kinds = {notice.kind: notice for notice in open_notices()}
    for kind, notice in kinds.items():
        alerts.open_(
            client=None,
            key=f"notice:{kind}",
            title=f"Meta warns: {notice.text}",
            advice="Ask whoever runs this installation to look at META_GRAPH_VERSION and update.",
            severity="warning",
            now=now,
        )
    for kind in alerts.open_keys(prefix="notice:") - {f"notice:{kind}" for kind in kinds}:
        alerts.close(client=None, key=kind, now=now)


def _put_aside(standing: Iterable[str], now: datetime) -> None:
    """What broke its worker three times waits for a person; everything else goes on. `standing`: open keys of all."""
    over = {key for key in standing if key.startswith("aside:")}
    for strike in strikes.parked():
        key = f"aside:{strike.pk}"
        over.discard(key)
        kind = strike.name.partition(":")[0]
        how = f"with {strike.error}" if strike.error else "by the death of its worker"
        alerts.open_(
            client=None,
            key=key,
            title=f"Put aside after three tries: {strike.name}",
            advice=f"Each try ended {how}. Nothing of it is lost, and everything else goes on. Look into the log, then "
            "let it be tried again: admin, Put aside.",
            severity="critical" if kind == "change" else "warning",
            now=now,
        )
    for key in over:
        alerts.close(client=None, key=key, now=now)


def _mails(now: datetime) -> None:
    """Mails that the server refuses again and again: owners see it here even when no mail reaches them."""
    stuck = outbox.troubled(now=now)
    if not stuck:
        alerts.close(client=None, key="mail", now=now)
        return
    given_up = [one for one in stuck if one.given_up_at is not None]
    mails = f"{len(stuck)} mail{'s' if len(stuck) != 1 else ''}"
    alerts.open_(
        client=None,
        key="mail",
        title=f"{mails} could not be delivered"
        if given_up
        else f"{mails} wait{'s' if len(stuck) == 1 else ''}: the mail server takes none",
        advice=f"It said: {stuck[-1].error[:200]} Look at EMAIL_URL and at the addresses, then send them again "
        "(admin, Outbox messages).",
        severity="warning",
        stage="given up" if given_up else "late",
        now=now,
    )
