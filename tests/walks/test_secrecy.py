"""Walk S: a whole run with every secret listened to at the wire; then every artefact is searched for its pieces.

connect (the real dance) -> sync -> insights -> strategy -> approve -> send -> settle -> webhook -> faults of every kind
-> a page that breaks, with Django's own report -> operations site -> disconnect

logs at DEBUG, queue messages, cache, mails, pages, API answers and headers, database (all columns), files,
metrics, the sandbox's history, error reports, reprs of living objects
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import pickle
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.signals import before_task_publish
from django.conf import settings as configured
from django.contrib import admin
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client as Browser
from django.urls import NoReverseMatch, reverse

from accounts import connections, sentinel
from accounts.errors import Refused
from accounts.models import AdAccount, MetaConnection, OutboxMessage
from campaigns.models import Campaign, Change
from campaigns.sync import run as read_structure
from insights.fetch import first_sync
from insights.poll import tick
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from metaads.sandbox.faults import NAMES as FAULTS
from metaads.tasks import process_webhooks
from strategies.cycle import run as judge
from strategies.drafts import create
from strategies.models import Proposal
from tests.conftest import PASSWORD
from tests.dashboard.conftest import ASKS
from tests.walks.canaries import Canaries, Listening, pieces, spellings
from tests.walks.dance import at_meta, begin, come_back
from tests.walks.desk import control, until_quiet

APP_SECRET = "c4f7Xq0ZrWm2JtUv9LkPyBn6"
VERIFY_TOKEN = "vT8hK3sWq5ZxNp1RbYd7"
OURS = ("metaads.", "accounts.", "campaigns.", "insights.", "strategies.", "dashboard.", "config.")

pytestmark = [pytest.mark.fault("F91"), pytest.mark.fault("N22"), pytest.mark.django_db]


@pytest.fixture
def canaries() -> Canaries:
    made = Canaries()
    made.plant("app secret", APP_SECRET)
    made.plant("verify token", VERIFY_TOKEN)
    made.plant("key of the stored tokens", configured.FERNET_KEYS[0])
    made.plant("secret key", configured.SECRET_KEY)
    made.plant("password", PASSWORD)
    return made


@pytest.fixture
def logs() -> Any:
    """Every logger at DEBUG, through the handlers that the product ships."""
    stream = io.StringIO()
    levels = {name: logging.getLogger(name).level for name in [None, *logging.root.manager.loggerDict]}
    handler = logging.StreamHandler(stream)
    shipped = configured.LOGGING
    factory = logging.config.DictConfigurator(dict(shipped)).configure_formatter
    handler.setFormatter(factory(dict(shipped["formatters"][shipped["handlers"]["console"]["formatter"]])))
    for name in shipped["handlers"]["console"]["filters"]:
        handler.addFilter(
            logging.config.DictConfigurator({}).configure_custom(dict(shipped["filters"][name]))
        )
    handler.setLevel(logging.DEBUG)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def messages() -> Any:
    """Each message as the broker gets it: body and headers, with what Celery adds to them."""
    sent: list[str] = []

    def note(
        sender: Any = None, body: Any = None, headers: Any = None, properties: Any = None, **_: Any
    ) -> None:
        sent.append(json.dumps([sender, body, headers, properties], default=repr))

    before_task_publish.connect(note)
    yield sent
    before_task_publish.disconnect(note)


class Recorder:
    """Browsers whose answers are kept: status, headers, body."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes]] = []
        self.broken: list[str] = []

    def browser(self, name: str) -> Browser:
        made = Browser(raise_request_exception=False)
        assert made.login(email=f"{name}@example.com", password=PASSWORD)
        ask = made.request

        def request(**environ: Any) -> Any:
            answer = ask(**environ)
            where = f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            self.kept.append((f"answer to {where}", str(dict(answer.headers)).encode() + body))
            return answer

        made.request = request  # type: ignore[method-assign]
        return made


@pytest.fixture
def wire(canaries: Canaries, clock: Any, settings: Any) -> Any:
    """The sandbox behind the listening door, with an app secret that nothing else in the tests has."""
    settings.META = {**settings.META, "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN}
    facebook = settings.SOCIALACCOUNT_PROVIDERS["facebook"]
    settings.SOCIALACCOUNT_PROVIDERS = {
        "facebook": {**facebook, "APP": {**facebook["APP"], "secret": APP_SECRET}}
    }
    box = Sandbox(world="tiny", seed=7, clock=clock, app_secret=APP_SECRET)
    with plugged(Listening(box, canaries)):
        yield box


def _kept_for_later() -> bytes:
    """Every byte of the cache: this process's memory, or the whole of the Redis database that it lies in."""
    from django.conf import settings

    inner: Any = cache._cache  # type: ignore[attr-defined]
    if not settings.REDIS_URL:
        return b"".join(pickle.dumps(value) for value in inner.values())
    client = inner.get_client()
    read = {  # as it was written: a DUMP may be compressed
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    return b"".join(key + repr(read[client.type(key)](key)).encode() for key in client.scan_iter())


def test_no_piece_of_a_secret_is_found_anywhere_after_a_whole_run(
    canaries, wire, logs, messages, agency, clock, settings, django_capture_on_commit_callbacks
):
    run = SimpleNamespace(
        canaries=canaries, box=wire, agency=agency, clock=clock, commits=django_capture_on_commit_callbacks
    )
    kept = Recorder()
    errors: list[tuple[str, str]] = []
    alice, bob, vera = (kept.browser(name) for name in ("alice", "bob", "vera"))

    _connect(run, alice, canaries)
    objects = [("living objects", _reprs())]
    change = _work(run, bob, vera)
    _faults(run, errors, bob)
    _webhook(run)
    alice, bob = kept.browser("alice"), kept.browser("bob")  # the faults took longer than a session lasts
    _pages(run, kept, alice, bob)
    _break(run, settings, alice)
    objects.append(("living objects after the faults", _reprs()))
    _leave(run, alice)

    assert {"access_token", "appsecret_proof", "code", "app secret"} <= canaries.names()
    assert len(canaries.secrets) >= 10
    assert change.state == "APPLIED" and messages and mail.outbox is not None
    text = logs.getvalue()
    assert "urllib3" in text or "metaads" in text, "the logs were listened to"

    artefacts = [
        ("log", text),
        *((f"message {number}", message) for number, message in enumerate(messages)),
        *errors,
        *objects,
        *kept.kept,
        *_database(),
        *_files(Path(settings.VAR_DIR)),
        *((f"mail {one.subject}", one.message().as_string()) for one in mail.outbox),
        *((f"waiting mail {one.pk}", f"{one.subject} {one.error}") for one in OutboxMessage.everything.all()),
        ("cache", _kept_for_later()),
        ("the sandbox's history", json.dumps(wire.history, default=str)),
    ]
    assert len(artefacts) > 100
    leaks = canaries.leaks(artefacts)
    assert leaks == [], "\n".join(leaks)


def test_the_search_finds_what_it_should():
    """Each spelling, buried in other text, in one piece of eighteen letters; and nothing where there is nothing."""
    canaries = Canaries()
    secret = "EAASx0y1z2A3b4C5d6E7f8G9h0-_jKlMnOpQrStUvWxYz"
    canaries.plant("token", secret)
    for form in spellings(secret):
        assert canaries.leaks([("x", f"noise{form}noise")]), form
        assert canaries.leaks([("x", b"\x00" + form[7:30].encode())]), form
    assert canaries.leaks([("x", "EAAS and other words, 0123456789abcdef" * 100)]) == []
    assert all(len(piece) == 12 for piece in pieces(secret))


# --- the run


def _connect(run: Any, alice: Browser, canaries: Canaries) -> None:
    dialog = begin(alice, client="northwind")
    back = at_meta(run.box, dialog)
    canaries.plant("code", back.partition("code=")[2].partition("&")[0])
    confirm = come_back(alice, back)
    assert alice.get(confirm).status_code == 200
    with run.commits(execute=True):
        assert alice.post(confirm, {"enable": run.box.ad_accounts()[:1]}).status_code == 302
    alice.get(back)  # the callback again: its code has been used
    alice.get(back.replace("code=", "code=x"))
    for row in MetaConnection.everything.all():
        canaries.plant("stored token", str(row.token))


def _work(run: Any, bob: Browser, vera: Browser) -> Change:
    account = AdAccount.everything.get(enabled_at__isnull=False)
    run.account = account
    now = run.clock.now()
    with run.commits(execute=True):
        read_structure(ad_account=account, now=now)
        first_sync(ad_account=account, days=28, now=now)
    strategy = create(ad_account=account, principal=run.agency.principals.bob, data=ASKS, now=now)
    with run.commits(execute=True):
        judge(strategy=strategy, now=now)
    proposal = Proposal.everything.filter(change__isnull=False).order_by("pk").first()
    assert proposal is not None
    answer = vera.post(
        f"/api/proposals/{proposal.uuid}/approve",
        {"digest": proposal.digest},
        content_type="application/json",
    )
    assert answer.status_code in (200, 202), answer.content
    run.campaign = Campaign.everything.order_by("pk").first()
    bob.get("/api/meta/validate-token?client=northwind")
    bob.get("/api/meta/user-info?client=northwind")
    with run.commits(execute=True):
        until_quiet(run.clock)
    tick(now=run.clock.now())
    return Change.everything.get(pk=proposal.change_id)


def _faults(run: Any, errors: list[tuple[str, str]], bob: Browser) -> None:
    """Each fault that the sandbox knows, under reads, checks, OAuth calls and a change."""
    campaigns = list(Campaign.everything.order_by("pk"))
    for number, fault in enumerate(sorted(FAULTS)):
        run.clock.advance(120)
        now = run.clock.now()
        MetaConnection.everything.update(state="connected", auth_failures=0, checked_at=None)
        run.box.faults.arm(fault, {}, 3)
        for what in _reads(run, now):
            try:
                with run.commits(execute=True):
                    what()
            except Exception as error:
                errors.append((f"error under {fault}", "".join(traceback.format_exception(error))))
                errors.append((f"error under {fault}", f"{error} {error!r} {vars(error)}"))
        bob.post(
            f"/api/meta/campaigns/{campaigns[number % len(campaigns)].meta_id}/status",
            {"status": ["PAUSED", "ACTIVE"][number // len(campaigns) % 2]},
            content_type="application/json",
        )
        with run.commits(execute=True), contextlib.suppress(AssertionError):
            until_quiet(run.clock, seconds=4)
        run.box.faults.disarm()
    MetaConnection.everything.update(state="connected", auth_failures=0)


def _reads(run: Any, now: Any) -> list[Any]:
    return [
        lambda: read_structure(ad_account=run.account, now=now),
        lambda: first_sync(ad_account=run.account, days=1, now=now),
        lambda: tick(now=now),
        lambda: connections.preview(token=run.box.token("bob")),
        lambda: connections.rediscover(connection=MetaConnection.everything.first(), now=now),
        lambda: sentinel.tend(now=now),
    ]


def _webhook(run: Any) -> None:
    own = MetaConnection.everything.first()
    told = (
        {
            "object": "permissions",
            "entry_id": own.meta_user_id,
            "changes": [{"field": "ads_read", "value": {}}],
        },
        {"entry_id": run.account.meta_id, "changes": [{"field": "field_changed", "value": {}}]},
    )
    for said in told:
        made = control(run.box, "POST", "webhook", **said)
        answer = Browser().post(
            "/webhooks/meta/", made["body"], content_type="application/json", headers=made["header"]
        )
        assert answer.status_code == 200
    with run.commits(execute=True):
        process_webhooks()
    Browser().get(f"/webhooks/meta/?hub.mode=subscribe&hub.challenge=1&hub.verify_token={VERIFY_TOKEN}")


def _pages(run: Any, kept: Recorder, alice: Browser, bob: Browser) -> None:
    act = run.account.act_id
    for path in (
        "/", "/c/northwind/", f"/a/{act}/", f"/campaigns/{run.campaign.meta_id}/", "/connections/", "/alerts/",
        "/ledger/", "/strategies/", "/proposals/", "/connections/doctor/", "/people/", "/metrics", "/readyz",
        "/accounts/sessions/", "/api/changes", "/api/proposals", "/api/strategies", "/api/stop",
        "/api/meta/ad-accounts?client=northwind", "/api/meta/validate-token?client=northwind",
        "/api/meta-oauth/authorize-url?client=northwind", f"/api/meta/insights?ad_account_id={act}",
        "/no/such/page?access_token=x",
    ):  # fmt: skip
        for browser in (alice, bob):
            browser.get(path)
    seen = 0
    # The theme's templates look for thousands of names in vain, and each would be a traceback in the log.
    logging.getLogger("django.template").setLevel(logging.INFO)
    for model in admin.site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        manager = getattr(model, "everything", model._base_manager)
        with contextlib.suppress(NoReverseMatch):
            seen += alice.get(reverse(f"{base}_changelist")).status_code == 200
            for pk in manager.values_list("pk", flat=True)[:1]:
                seen += alice.get(reverse(f"{base}_change", args=[pk])).status_code == 200
    assert seen > 20, "the operations site was looked through"


class Broken(Listening):
    """A wire that falls over in a way that no Graph API does, with token and proof in its frames."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self._outgoing(request)
        token, body = request.headers.get("Authorization"), request.body  # what a report's frames would show
        raise RuntimeError(f"the wire fell over {len(str(token))} {len(str(body))}")


def _break(run: Any, settings: Any, alice: Browser) -> None:
    """What Django itself reports about a crash: to the person (DEBUG on and off), by mail, in the log."""
    settings.ADMINS = [("Ops", "ops@example.com")]
    own = MetaConnection.everything.first()
    paths = (
        ("post", "/api/meta-oauth/refresh", {"connection_id": str(own.uuid)}),
        (
            "post",
            "/connections/token/?client=northwind",
            {"client": "northwind", "token": run.box.token("bob")},
        ),
    )
    mailer = logging.getLogger("django.request")
    from django.utils.log import AdminEmailHandler

    handler = AdminEmailHandler(include_html=True)
    mailer.addHandler(handler)
    before = len(mail.outbox)
    crashes = 0
    try:
        for debug in (False, True):
            settings.DEBUG = debug
            with plugged(Broken(run.box, run.canaries)):
                for method, path, body in paths:
                    MetaConnection.everything.update(state="connected", auth_failures=0, held=False)
                    kind = {"content_type": "application/json"} if path.startswith("/api") and body else {}
                    answer = getattr(alice, method)(path, body, **kind)
                    crashes += answer.status_code == 500
                dialog = begin(alice, client="northwind")
                back = at_meta(run.box, dialog)
                run.canaries.plant("code", back.partition("code=")[2].partition("&")[0])
                crashes += alice.get(back).status_code == 500  # the exchange of the code falls over
    finally:
        settings.DEBUG = False
        mailer.removeHandler(handler)
    assert crashes >= 2 and len(mail.outbox) > before, "Django reported something"


def _leave(run: Any, alice: Browser) -> None:
    own = MetaConnection.everything.first()
    with contextlib.suppress(Refused):
        connections.disconnect(connection=own, principal=run.agency.principals.alice, now=run.clock.now())
    alice.get("/connections/")
    sentinel.tend(now=run.clock.now())
    alice.post("/accounts/logout/")


# --- what is left behind


def _database() -> list[tuple[str, bytes]]:
    """All columns of all tables, cipher columns as they lie there."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows = [
                b" ".join(
                    bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()
                    for cell in row
                )
                for row in cursor.fetchall()
            ]
            if table in ("django_session",):
                found += [(f"session {number}", _session(row)) for number, row in enumerate(rows)]
            found.append((f"table {table}", b"\n".join(rows)))
    assert len(found) > 40
    return found


def _session(row: bytes) -> bytes:
    from django.contrib.sessions.models import Session

    key = row.split(b" ")[0].decode()
    session = Session.objects.filter(session_key=key).first()
    return str(session.get_decoded()).encode() if session else b""


def _files(folder: Path) -> list[tuple[str, bytes]]:
    return [
        (f"file {path.name}", path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "keys" and path.name != "test.sqlite3"
    ]


def _reprs() -> str:
    """What a log line with `%r`, or a report of local variables, would show of our own objects."""
    found = []
    for one in gc.get_objects():
        home = str(getattr(type(one), "__module__", ""))
        if home.startswith(OURS) and not home.startswith("metaads.sandbox"):  # that is Meta's side
            with contextlib.suppress(Exception):
                found.append(repr(one))
    return "\n".join(found)
