"""The use of a token: which one, decrypted for one request, and what the answers teach about its connection.

reader        granted assets of the ad account, same client, able to read, the healthiest first -> GraphClient
                each request   state and token from the database, now
                good           doubts are forgotten
                refused        a newer token is stored -> that one | it ran out -> one exchange      one replay
                               a definite end -> state, another writer, one try with the next connection
start_report  the same for the POST that has a report prepared
write_token   the account's one writer, if its state and its grant allow it; a write is never sent twice

connected | expiring | degraded -> reauth_needed    one definite subcode (190/458, 460, 463, 464, 467), or a second
                                                    unclear auth answer more than 30 s later; 5xx, 429, time-outs
                                                    and missing permissions never count
degraded -> connected | expiring                    a good answer

An answer speaks of the token that it was given, so it moves a connection only while that token is still its own.
No token is kept: neither here, nor in the client that `reader` gives, nor in a message.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet

import accounts.claims as claims
import accounts.renewal as renewal
import metaads.gateway as gateway
from accounts.errors import NoConnection, Refused
from accounts.fields import Unreadable
from accounts.models import (
    READABLE,
    WRITABLE,
    AdAccount,
    ConnectionState,
    GrantedAsset,
    MetaConnection,
)
from accounts.renewal import Renewal
from metaads.clock import now as clock_now
from metaads.graph.client import GraphClient
from metaads.graph.errors import Answer, AuthFailed, GraphError, Kind, error_for

log = logging.getLogger(__name__)

_AGAIN_AFTER: Final = timedelta(seconds=30)
_NOTE_EVERY: Final = timedelta(minutes=5)
#: As in `GraphClient`: the token, the same one renewed, and that of another connection.
_MOST_TOKENS: Final = 3
#: Auth answers that an exchange, or somebody else's exchange, may mend.
_RAN_OUT: Final = frozenset({"token_expired", "token_revoked", "session_expired"})


# --- reading


def reader(ad_account: AdAccount, *, use: str = "read") -> GraphClient:
    """Reads of one ad account, each request with the token of a connection of its own client that sees it.

    The client tells the connection's state by itself what its answers say. Raises `NoConnection` when there is no
    connection to read with, here or at a later request.
    """
    source = _Source(ad_account)
    source.choose()
    return gateway.client(
        token=source.token,
        ad_account=ad_account.meta_id,
        use=use,
        on_answer=source.heard,
        next_token=source.next_token,
        owner=_owner(ad_account),
    )


def _owner(ad_account: AdAccount) -> str:
    """Whose calls they are, where the app's limit is shared."""
    return f"client:{ad_account.client_id}"


def start_report(ad_account: AdAccount, question: Mapping[str, Any]) -> str:
    """Have Meta prepare a report of the account, and return its run id: one POST that changes nothing there.

    `question` as for `GraphClient.insights`. A refused token is mended or passed over as in `reader`. A lost answer
    costs an unused report, so it is not sent twice here. Raises a GraphError, `Blocked` or `NoConnection`.
    """
    source = _Source(ad_account)
    source.choose()
    failed = 0
    while True:
        token = source.token()
        try:
            return gateway.start_report(
                token=token,
                ad_account=ad_account.meta_id,
                question=question,
                on_answer=source.heard,
                owner=_owner(ad_account),
            )
        except AuthFailed as no:
            failed += 1
            if not source.next_token(no.answer, token, failed) or failed >= _MOST_TOKENS:
                raise


class _Source:
    """Where one reader's tokens come from: a connection's id, never a token."""

    def __init__(self, ad_account: AdAccount) -> None:
        self._account = ad_account
        self._asset_id = 0  # no row has 0
        self._tried: set[int] = set()
        self._noted_at: datetime | None = None

    def choose(self) -> None:
        """Take the best connection that this reader has not seen fail."""
        for asset in readers(self._account):
            if asset.connection_id not in self._tried:
                self._asset_id = asset.pk
                self._noted_at = None
                return
        raise _no_reader(self._account)

    def token(self) -> str:
        """The token for the next request. A connection that somebody ended meanwhile, or whose stored token cannot be
        read, is left for another one."""
        connection = self._connection()
        if connection is None:
            self.choose()
            connection = self._connection()
        if connection is None:
            raise _no_reader(self._account)
        try:
            return renewal.decrypted(connection)
        except NoConnection:
            self._tried.add(connection.pk)
            if not any(asset.connection_id not in self._tried for asset in readers(self._account)):
                raise
        return self.token()

    def heard(self, answer: Answer) -> None:
        """A good answer: noted at most every few minutes."""
        moment = clock_now()
        if answer.kind is not Kind.OK or (self._noted_at and moment - self._noted_at < _NOTE_EVERY):
            return
        connection = self._connection()
        if connection is None:
            return
        self._noted_at = moment
        worked(connection=connection, now=moment)
        self._note_tasks(connection, answer, moment)

    def next_token(self, answer: Answer, token: str, failed: int) -> bool:
        """Whether to repeat the read that was refused: once with the same connection's newer token, once with
        another connection."""
        error, moment = error_for(answer), clock_now()
        connection = self._connection()
        if not isinstance(error, AuthFailed):
            return False
        if connection is not None:
            if failed == 1:
                found = self._newer(connection, error, token, moment)
                if found is not None:
                    return found
            blame(connection=connection, token=token, error=error, now=moment)
        if not error.definite or self._tried:
            return False
        self._tried.add(connection.pk if connection is not None else 0)
        try:
            self.choose()
        except NoConnection:
            return False
        return True

    def _newer(
        self, connection: MetaConnection, error: AuthFailed, token: str, moment: datetime
    ) -> bool | None:
        """True: the connection has another token now. False: somebody is fetching one. None: neither."""
        if renewal.decrypted(connection) != token:
            return True
        if error.answer.rule not in _RAN_OUT:
            return None
        try:
            if renewal.renew(connection=connection, now=moment, instead_of=token) is Renewal.RUNNING:
                return False
        except (GraphError, Refused) as no:
            log.info("connection %s could not be renewed: %s", connection.uuid, no)
            return None
        fresh = self._connection()
        return True if fresh is not None and renewal.decrypted(fresh) != token else None

    def _connection(self) -> MetaConnection | None:
        """The chosen connection as it is now, if it still may be used for this account."""
        asset = (
            _assets(self._account)
            .filter(pk=self._asset_id, connection__state__in=READABLE, connection__held=False)
            .first()
        )
        return asset.connection if asset is not None else None

    def _note_tasks(self, connection: MetaConnection, answer: Answer, moment: datetime) -> None:
        """Reading the account itself tells what this connection's user may do there."""
        body = answer.body
        if not isinstance(body, Mapping) or not isinstance(body.get("user_tasks"), list):
            return
        if claims.meta_id_of(body) == self._account.meta_id:
            tasks = [str(task) for task in body["user_tasks"]]
            GrantedAsset.objects.of(self._account.client_id).filter(pk=self._asset_id).update(
                tasks=tasks, seen_at=moment
            )


def readers(ad_account: AdAccount) -> list[GrantedAsset]:
    """Who can read the account now, best first: by health, then the writer, then the oldest grant."""
    writer = _writer_id(ad_account)
    able = [
        asset
        for asset in claims.granted(ad_account)
        if asset.connection.state in READABLE and not asset.connection.held and claims.may_read(asset)
    ]
    return sorted(
        able, key=lambda asset: (claims.health(asset.connection), asset.connection_id != writer, asset.pk)
    )


def why_unread(ad_account: AdAccount) -> str:
    """Why nobody can read the account now, and what to do; "" while somebody can. Changes nothing."""
    if readers(ad_account):
        return ""
    no = _no_reader(ad_account)
    return f"{no.message} {no.advice}".strip()


def _assets(ad_account: AdAccount) -> QuerySet[GrantedAsset]:
    rows: QuerySet[GrantedAsset] = GrantedAsset.objects.of(ad_account.client_id).filter(
        ad_account_id=ad_account.pk, gone_at__isnull=True, connection__client_id=ad_account.client_id
    )
    return rows.select_related("connection")


def _writer_id(ad_account: AdAccount) -> int | None:
    """The account's writer as it is now: `ad_account` may have been loaded before somebody disconnected."""
    rows = AdAccount.objects.of(ad_account.client_id).filter(pk=ad_account.pk)
    return rows.values_list("connection_id", flat=True).first()


def _no_reader(ad_account: AdAccount) -> NoConnection:
    assets = claims.granted(ad_account)
    writer = _writer_id(ad_account)
    assets.sort(key=lambda asset: asset.connection_id != writer)
    if not assets:
        return _unconnected(ad_account, writer)
    first = assets[0]
    return _not_now(ad_account, first.connection, READABLE) or NoConnection(
        f"The connection may not read {ad_account.act_id}.",
        code="scope_missing",
        advice="Connect again and leave ads_read switched on for this ad account.",
    )


def _unconnected(ad_account: AdAccount, writer: int | None) -> NoConnection:
    if writer is None:
        return NoConnection(f"{ad_account.act_id} has no connection to Meta.")
    return NoConnection(
        f"No connection sees {ad_account.act_id} any more.",
        code="ad_account_not_granted",
        advice="Have the Meta user added to the ad account in Meta Business settings, then look for accounts again.",
    )


def _not_now(ad_account: AdAccount, connection: MetaConnection, states: Any) -> NoConnection | None:
    if connection.held:
        return NoConnection(
            f"The connection of {ad_account.act_id} was restored from a backup.",
            code="connection_held",
            advice="It is used again as soon as Meta has answered for it.",
        )
    if connection.state in states:
        return None
    words = ConnectionState(connection.state).label.lower()
    text = f"The connection of {ad_account.act_id} is in the state “{words}”. {connection.reason}".strip()
    if connection.state == ConnectionState.PAUSED:
        return NoConnection(text, code="connection_paused", advice="Resume it on the connections page.")
    return NoConnection(text)


# --- writing


def write_token(ad_account: AdAccount, *, automated: bool = False) -> str:
    """The token for one write, of the account's one writer.

    A person's change needs a connection that is connected or expiring, an automated one (a strategy's, the
    watchdog's) one that is connected, and an account that was heard of lately. Raises `NoConnection` with what is
    missing.
    """
    asset = _writer(ad_account, automated=automated)
    connection = _assets(ad_account).get(pk=asset.pk).connection
    return renewal.decrypted(connection)


def why_not_now(ad_account: AdAccount, *, token: str, automated: bool) -> str:
    """Why `token`, which `write_token` gave a moment ago, may not be used any more; "" while it may.

    For the transaction that commits a write: somebody may have disconnected, paused or renewed meanwhile. It changes
    nothing.
    """
    asset = _writer_asset(ad_account)
    if asset is None:
        return _unconnected(ad_account, _writer_id(ad_account)).message
    no = _why_not(ad_account, asset, automated=automated)
    if no is not None:
        return no.message
    try:
        same = renewal.decrypted(_assets(ad_account).get(pk=asset.pk).connection) == token
    except Refused as gone:
        return gone.message
    return "" if same else "The connection's token was renewed at this moment."


def renewed_since(ad_account: AdAccount, moment: datetime) -> bool:
    """Whether the account's writer has another token than at that moment: connected again, renewed, or another one."""
    asset = _writer_asset(ad_account)
    if asset is None:
        return False
    newest = max(filter(None, (asset.connection.connected_at, asset.connection.refreshed_at)))
    return newest > moment or claims.handed_over_since(ad_account, moment)


def why_frozen(ad_account: AdAccount) -> str:
    """Why automation rests for this account; "" while its connection is connected and Meta answers for it. Changes
    nothing."""
    asset = _writer_asset(ad_account)
    if asset is None:
        return _unconnected(ad_account, _writer_id(ad_account)).message
    no = (
        _not_now(ad_account, asset.connection, (ConnectionState.CONNECTED,))
        or _retired()
        or _silent(ad_account)
    )
    if no is None and claims.left_out(asset):
        no = _unconnected(ad_account, asset.connection_id)
    return no.message if no is not None else ""


def _retired() -> NoConnection | None:
    """Under a version that Meta has switched off, every write waits; reads go on trying, and tell when it is over."""
    text = gateway.version_retired()
    advice = "Set META_GRAPH_VERSION to a current version and start every process again; nothing is sent until then."
    return NoConnection(text, code="api_version_retired", advice=advice) if text else None


def _silent(ad_account: AdAccount) -> NoConnection | None:
    account = AdAccount.objects.of(ad_account.client_id).get(pk=ad_account.pk)
    since = account.silent_since(now=clock_now())
    if since is None:
        return None
    return NoConnection(
        f"Nothing was heard of {ad_account.act_id} since {since.astimezone(UTC):%-d %B %Y, %H:%M} UTC.",
        code="ad_account_silent",
        advice="Automation goes on with the next good answer. Look at the connection and at Meta's status page.",
    )


def _writer(ad_account: AdAccount, *, automated: bool) -> GrantedAsset:
    asset = _writer_asset(ad_account)
    if asset is None or asset.connection.state in claims.ENDED or claims.why_not_write(asset):
        claims.hand_over(ad_account, now=clock_now())
        asset = _writer_asset(ad_account)
    if asset is None:
        raise _unconnected(ad_account, _writer_id(ad_account))
    no = _why_not(ad_account, asset, automated=automated)
    if no is not None:
        raise no
    return asset


def _why_not(ad_account: AdAccount, asset: GrantedAsset, *, automated: bool) -> NoConnection | None:
    """What stands against a write through this asset, by what is stored now."""
    states = (ConnectionState.CONNECTED,) if automated else WRITABLE
    no = _not_now(ad_account, asset.connection, states) or _retired()
    if no is not None:
        return no
    lacks = claims.why_not_write(asset)
    if lacks == "scope":
        return NoConnection(
            "This connection is read-only: ads_management was not given.",
            code="read_only_connection",
            advice="Connect again and leave ads_management switched on.",
        )
    if lacks == "task":
        return NoConnection(
            f"The connected Meta user may not change ads in {ad_account.act_id}.",
            code="read_only_ad_account",
            advice="Have them given the task Manage campaigns in Meta Business settings.",
        )
    account = AdAccount.objects.of(ad_account.client_id).filter(pk=ad_account.pk).first()
    if account is None or not account.enabled:
        return NoConnection(
            f"{ad_account.act_id} is switched off here.",
            code="ad_account_disabled",
            advice="Enable the ad account.",
        )
    return _silent(account) if automated else None


def _writer_asset(ad_account: AdAccount) -> GrantedAsset | None:
    writer = _writer_id(ad_account)
    return next((asset for asset in claims.granted(ad_account) if asset.connection_id == writer), None)


# --- what an answer teaches


def worked(*, connection: MetaConnection, now: datetime) -> None:
    """A call was answered: doubts are forgotten. Writes at most every five minutes."""
    rows = MetaConnection.objects.of(connection.client_id).filter(pk=connection.pk)
    if connection.state == ConnectionState.DEGRADED:
        ends = (connection.expires_at, connection.data_access_expires_at)
        state = renewal.state_at(*ends, now=now)
        if state != ConnectionState.REAUTH_NEEDED:
            rows.filter(state=ConnectionState.DEGRADED).update(
                state=state, reason=renewal.why_expiring(*ends, now=now)
            )
    stale = Q(auth_failures__gt=0) | Q(checked_at__isnull=True) | Q(checked_at__lt=now - _NOTE_EVERY)
    rows.filter(stale, state__in=READABLE).update(auth_failures=0, checked_at=now)


def auth_failed(*, ad_account: AdAccount, token: str, error: GraphError, now: datetime) -> None:
    """A write with `token` was refused: the connection of the account that still holds it hears of it."""
    for asset in _assets(ad_account).filter(connection__state__in=READABLE):
        try:
            held: str = asset.connection.token
        except Unreadable:
            continue
        if held == token:
            blame(connection=asset.connection, token=token, error=error, now=now)


def blame(*, connection: MetaConnection, token: str, error: GraphError, now: datetime) -> None:
    """Only an auth answer counts, and only about the token that the connection has: a definite one ends it, unclear
    ones need two."""
    if not isinstance(error, AuthFailed) or renewal.decrypted(connection) != token:
        return
    rows = renewal.same(connection).filter(state__in=READABLE)
    reason = f"{error.answer.message} {error.answer.advice}".strip()[:300]
    # Many calls in flight fail together; that is one observation, not two.
    lately = Q(auth_failures__gt=0, checked_at__gt=now - _AGAIN_AFTER)
    if error.definite or rows.filter(~lately, auth_failures__gte=1).exists():
        ended = rows.update(
            state=ConnectionState.REAUTH_NEEDED,
            reason=reason,
            auth_failures=F("auth_failures") + 1,
            checked_at=now,
        )
        if ended:
            claims.hand_over_all(connection, now=now)
        return
    rows.exclude(lately).update(
        state=ConnectionState.DEGRADED, reason=reason, auth_failures=F("auth_failures") + 1, checked_at=now
    )
