"""Settings in, ways to Meta out: the only place that turns `settings.META` into Graph clients.

    client   reads; each attempt asks `quota` first and reports its answer back
    writer   one POST; asks and reports in the same way
    start_report   one POST that has Meta prepare a report: it changes nothing there, and asks the quota of reads
    transport, requests_session   for the OAuth calls, which belong to no ad account

Who may import this is a contract (import-linter, "door gateway"). `plugged` swaps the wire for an adapter:
tests and the lab put the in-process sandbox there, and everything above runs unchanged.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

import metaads.clock as clock
import metaads.graph.report_runs as report_runs
import metaads.quota as quota
from metaads.clock import now
from metaads.counters import graph_calls, graph_held_back
from metaads.graph.client import GraphClient
from metaads.graph.errors import Answer
from metaads.graph.transport import DEFAULT_HOSTS, Transport, new_session
from metaads.graph.usage import version_warning
from metaads.graph.writer import GraphWriter
from metaads.notices import RETIRED, VERSION, report, retired, retirement

READ_USES = frozenset({"read", "insights", "history", "verify", "pause_read"})
WRITE_USES = frozenset({"write", "pause"})
#: Connect and read time-outs of the sign-in library's own calls, in seconds.
TIMEOUT = (3.0, 10.0)

_lock = threading.Lock()
_transports: dict[tuple[object, ...], Transport] = {}
#: A `requests` adapter; the type is not named because only `graph.transport` imports that library.
_adapter: Any = None
_lanes = 1


def transport(*, keep_alive: bool = True) -> Transport:
    """The way to the configured Graph API; one pooled instance per process and configuration."""
    meta = settings.META
    key = (meta["graph_url"], meta["version"], meta["app_id"], meta["app_secret"], keep_alive, id(_adapter))
    with _lock:
        if key not in _transports:
            _transports[key] = _new_transport(meta, keep_alive=keep_alive)
        return _transports[key]


def client(
    *,
    token: str | Callable[[], str],
    ad_account: str | None,
    use: str = "read",
    on_answer: Callable[[Answer], None] | None = None,
    next_token: Callable[[Answer, str, int], bool] | None = None,
    owner: str = "",
) -> GraphClient:
    """A reader for one token, or for what `token` gives at each request. `ad_account` is Meta's number (None: calls
    that belong to no account).

    `use` is read, insights, history, verify or pause_read: how much of the quota it may touch. Each attempt may raise
    `quota.Blocked`; then nothing was sent. `owner` as in `quota.check`.
    `on_answer` hears every answer after the quota; `next_token` as in
    `GraphClient`.
    """
    if use not in READ_USES:
        raise ValueError(f"a reader's use is one of {', '.join(sorted(READ_USES))}")
    scope = _scope(ad_account)

    def heard(answer: Answer) -> None:
        _heard(answer, scope=scope, use=use)
        if on_answer is not None:
            on_answer(answer)

    return GraphClient(
        transport(),
        token,
        before_call=functools.partial(_ask, scope=scope, use=use, owner=owner),
        on_answer=heard,
        next_token=next_token,
        # In process there is nobody to wait for: between two tries, or beside another read.
        sleep=_no_pause if _adapter is not None else time.sleep,
        abreast=functools.partial(_abreast, scope),
    )


def writer(*, token: str, ad_account: str, use: str = "write") -> GraphWriter:
    """A writer for one token. `use` is write or pause: a pause may spend what everything else must leave.

    `update` may raise `quota.Blocked`; then nothing was sent.
    """
    if use not in WRITE_USES:
        raise ValueError(f"a writer's use is one of {', '.join(sorted(WRITE_USES))}")
    return _QuotaWriter(transport(keep_alive=False), token, scope=_scope(ad_account), use=use)


def start_report(
    *,
    token: str,
    ad_account: str,
    question: Mapping[str, Any],
    on_answer: Callable[[Answer], None],
    use: str = "insights",
    owner: str = "",
) -> str:
    """Have Meta prepare a report of an ad account (`report_runs.start`); its run id. Raises a GraphError or
    `quota.Blocked`; then nothing was sent."""
    scope = _scope(ad_account)

    def heard(answer: Answer) -> None:
        _heard(answer, scope=scope, use=use)
        on_answer(answer)

    _ask(scope=scope, use=use, owner=owner)
    return report_runs.start(transport(), token, scope, **question, on_answer=heard)


def requests_session() -> Any:
    """A `requests.Session` for the sign-in library's calls.

    It reaches the configured Graph host and nothing else, follows no redirect and gives up after `TIMEOUT`.
    """
    session = new_session()
    adapter = _adapter or session.get_adapter(settings.META["graph_url"])
    session.adapters.clear()
    session.mount(f"{settings.META['graph_url']}/", adapter)
    plain = session.request

    def request(*args: Any, **kwargs: Any) -> Any:
        # `get` asks for redirects by itself, so this is decided here and not by a default.
        return plain(*args, **{"timeout": TIMEOUT, **kwargs, "allow_redirects": False})

    session.request = request  # type: ignore[method-assign]
    return session


@contextmanager
def plugged(adapter: Any, *, lanes: int = 1) -> Iterator[None]:
    """Send everything that is made in this block through `adapter`, a `requests` adapter (process-wide), and as many
    reads at once as `lanes`."""
    global _adapter, _lanes
    before = _adapter, _lanes
    _adapter, _lanes = adapter, lanes
    try:
        yield
    finally:
        _adapter, _lanes = before
        with _lock:
            for key in [key for key in _transports if key[-1] == id(adapter)]:
                del _transports[key]


class _QuotaWriter(GraphWriter):
    """A writer that asks the quota before its one POST and reports the answer after it."""

    def __init__(self, transport: Transport, token: str, *, scope: str, use: str) -> None:
        super().__init__(transport, token)
        self._scope = scope
        self._use = use

    def update(
        self, object_id: str, params: Mapping[str, str | int], *, guard: Callable[[], None] | None = None
    ) -> Answer:
        _ask(scope=self._scope, use=self._use)
        answer = super().update(object_id, params, guard=guard)
        _heard(answer, scope=self._scope, use=self._use)
        return answer


def _new_transport(meta: Mapping[str, str], *, keep_alive: bool) -> Transport:
    where = urlsplit(meta["graph_url"])
    host = where.hostname or ""
    session = None
    if _adapter is not None:
        session = new_session()
        session.adapters.clear()
        for address in (meta["graph_url"], meta["dialog_url"]):
            session.mount(f"{address}/", _adapter)
    return Transport(
        meta["graph_url"],
        version=meta["version"],
        app_id=meta["app_id"],
        app_secret=meta["app_secret"],
        session=session,
        keep_alive=keep_alive,
        allowed_hosts=DEFAULT_HOSTS | ({host} if where.scheme == "https" else set()),
        # A sandbox under another name in a compose network; a check refuses plain http in production.
        plain_http_hosts=frozenset({host})
        if where.scheme == "http" and not settings.PRODUCTION
        else frozenset(),
    )


def version_retired() -> str:
    """What Meta says of the version in use while it refuses it; "" while it does not."""
    version = settings.META["version"]
    return retirement(version) if retired(version=version, now=now()) else ""


def _scope(ad_account: str | None) -> str:
    return quota.APP if ad_account is None else f"act_{ad_account}"


def _ask(*, scope: str, use: str, owner: str = "") -> None:
    try:
        quota.check(scope=scope, use=use, now=now(), owner=owner)
    except quota.Blocked:
        graph_held_back.labels(use=use).inc()
        raise


def _heard(answer: Answer, *, scope: str, use: str) -> None:
    graph_calls.labels(use=use, kind=str(answer.kind)).inc()
    quota.record(scope=scope, answer=answer, use=use, now=now())
    clock.heard(answer.headers.get("date", ""))
    warning = version_warning(answer.headers)
    if warning:
        report(kind=VERSION, text=warning, now=now())
    if answer.rule == "api_version_retired":
        report(kind=RETIRED, text=retirement(settings.META["version"]), now=now())


def _abreast(scope: str) -> int:
    return _lanes if _adapter is not None else quota.abreast(scope=scope, now=now())


def _no_pause(seconds: float) -> None:
    return None
