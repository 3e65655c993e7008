"""Fixtures that stand on the door: the sandbox in process behind the product's own HTTP client, and one moving clock.

Alice owns the agency, Bob is a buyer at Northwind, Vera approves for Northwind, Charlie belongs to Southwind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import hypothesis
import pytest

from tests import kept

START = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
REQUIRED = frozenset(filter(None, os.environ.get("REQUIRE", "").split(",")))


# The suite asks the same questions in every run; `make prove` (PROVE_N) asks new ones.
hypothesis.settings.register_profile("suite", derandomize=True, database=None, deadline=None)
if not os.environ.get("PROVE_N"):
    hypothesis.settings.load_profile("suite")


def need(what: str, ready: bool, why: str) -> None:
    """Skip by name where a service or file is missing; fail instead where REQUIRE names it."""
    if ready:
        return
    if what in REQUIRED:
        pytest.fail(f"REQUIRE={what}, but {why}")
    pytest.skip(f"{what}: {why}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where services are required, any skip fails the run: a test that did not run has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if REQUIRED and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the proofs have met is shown although they passed: too little of it, and they have proven nothing."""
    if os.environ.get("PROVE_N"):
        for report in terminalreporter.stats.get("passed", []):
            if report.capstdout.strip():
                terminalreporter.write_line(f"{report.nodeid}\n{report.capstdout.strip()}")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """SQLite is emptied after a transactional test by DELETE, which the ledger's triggers refuse without a permit."""
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("INSERT INTO campaigns_permit VALUES ('the test suite empties its tables')")
        kept.start_empty()


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Rows have the numbers of the test before, so what was kept under those numbers goes."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def clock() -> Iterator[Any]:
    """One clock for product and sandbox, standing at START until the test moves it."""
    from metaads.clock import using
    from metaads.sandbox.clock import ManualClock

    manual = ManualClock(START)
    with using(manual.now):
        yield manual


@pytest.fixture
def sandbox(clock: Any) -> Iterator[Any]:
    """The offline Graph API in process (world `tiny`), plugged in where `requests` would leave the machine."""
    from metaads.gateway import plugged
    from metaads.sandbox.app import Sandbox
    from tests.door import WSGIAdapter

    box = Sandbox(world="tiny", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        yield box


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every disk of this machine has 100,000 MiB, of which so many are free: `small_disk(free=300)`."""

    def set_(*, free: int, size: int = 100_000, files: int = 1_000) -> None:
        mib = 1024 * 1024
        found = os.statvfs_result((mib, mib, size, free, free, 10_000, files, files, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda path: found)

    return set_


@pytest.fixture
def agency(db: Any) -> Any:
    """Two clients and their people; no connection yet."""
    return kept.reach("agency", build=found_agency)


def found_agency() -> Any:
    """What `agency` gives, for a module that keeps one world for all of its tests."""
    from types import SimpleNamespace

    from accounts.access import principal_of
    from accounts.models import Client, Membership, Role, User

    sales = {"result_action": "omni_purchase"}
    northwind = Client.objects.create(name="Northwind", slug="northwind", **sales)
    southwind = Client.objects.create(name="Southwind", slug="southwind", **sales)
    people = {
        "alice": (Role.OWNER, None, True),
        "bob": (Role.BUYER, northwind, True),
        "vera": (Role.APPROVER, northwind, False),
        "vic": (Role.VIEWER, northwind, False),
        "ivan": (Role.INTEGRATOR, northwind, False),
        "charlie": (Role.MANAGER, southwind, True),
    }
    users = {}
    for name, (role, client, staff) in people.items():
        user = User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title(), is_staff=staff)
        Membership.objects.create(user=user, client=client, role=role)
        users[name] = user
    principals = {name: principal_of(user) for name, user in users.items()}
    return SimpleNamespace(
        northwind=northwind,
        southwind=southwind,
        users=SimpleNamespace(**users),
        principals=SimpleNamespace(**principals),
    )


@pytest.fixture
def connected(agency: Any, sandbox: Any, clock: Any) -> Any:
    """Northwind connected by Alice with a long-lived token; its first ad account enabled, nothing synced yet."""
    build = partial(connect_northwind, agency, sandbox, clock)
    return kept.reach("connected", build=build, agency=agency, box=sandbox, clock=clock)


def connect_northwind(agency: Any, sandbox: Any, clock: Any) -> Any:
    """What `connected` gives."""
    from accounts.ad_accounts import enable
    from accounts.connections import connect
    from accounts.models import AdAccount

    now = clock.now()
    connect(
        client=agency.northwind,
        principal=agency.principals.alice,
        token=sandbox.token("alice"),
        now=now,
        user=agency.users.alice,
    )
    agency.ad_account = AdAccount.objects.of(agency.northwind).order_by("meta_id").first()
    enable(ad_account=agency.ad_account, principal=agency.principals.alice, now=now)
    agency.ad_account.refresh_from_db()
    return agency


@pytest.fixture
def structured(connected: Any, sandbox: Any, clock: Any) -> Any:
    """`connected`, with its structure read: campaigns, ad sets, ads; no figures."""
    build = partial(read_structure, connected, clock)
    return kept.reach("structured", build=build, agency=connected, box=sandbox, clock=clock)


def read_structure(connected: Any, clock: Any) -> Any:
    """What `structured` gives."""
    from campaigns.sync import run

    assert run(ad_account=connected.ad_account, now=clock.now()).state == "complete"
    return connected


@pytest.fixture
def synced(structured: Any, sandbox: Any, clock: Any) -> Any:
    """`connected`, with structure and 28 days of rows stored."""
    build = partial(read_figures, structured, clock)
    return kept.reach("synced", build=build, agency=structured, box=sandbox, clock=clock)


def read_figures(structured: Any, clock: Any) -> Any:
    """What `synced` gives over `structured`."""
    from insights.fetch import first_sync

    first_sync(ad_account=structured.ad_account, days=28, now=clock.now())
    return structured


def sync_northwind(connected: Any, clock: Any) -> Any:
    """What `synced` gives over `connected`."""
    return read_figures(read_structure(connected, clock), clock)


def grant(
    account: Any, *, meta_user_id: str = "1", tasks: tuple[str, ...] = ("MANAGE",), **fields: Any
) -> Any:
    """A connection of the account's client that sees the account, without Meta; the first one becomes its writer."""
    from accounts.models import GrantedAsset, MetaConnection

    known = {
        "token": f"EAAtoken{meta_user_id}",
        "scopes": ["ads_read", "ads_management"],
        "checked_at": START,
    }
    connection = MetaConnection.everything.create(
        client=account.client, meta_user_id=meta_user_id, connected_at=START, **{**known, **fields}
    )
    GrantedAsset.everything.create(
        client=account.client, connection=connection, ad_account=account, tasks=list(tasks), seen_at=START
    )
    if account.connection_id is None:
        account.connection = connection
        account.save()
    return connection
