"""Every task by what its message carries. A task takes an id of ours and asks the database whose it is; a message
never says for which client, so a forged one cannot."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from config.celery import app
from tests.access.test_reads_change_nothing import prints
from tests.access.world import MARKER

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F113")]

#: task -> (its arguments, how it knows whose rows it works on).
TASKS: dict[str, tuple[tuple[str, ...], str]] = {
    "accounts.tasks.check_connection": (("connection_id",), "the connection's row names its client"),
    "accounts.tasks.recheck": (
        ("clients",),
        "scans, or the clients of who signed in; each connection names its client",
    ),
    "accounts.tasks.sentinel": ((), "scans; each connection and alert names its client"),
    "campaigns.tasks.erase": ((), "scans deletions; what names a Meta user at any client"),
    "campaigns.tasks.advance": (("change_id",), "the change's row names client and ad account"),
    "campaigns.tasks.sweep": ((), "scans changes"),
    "campaigns.tasks.send_due": ((), "scans changes"),
    "campaigns.tasks.settle_due": ((), "scans changes"),
    "campaigns.tasks.sync_structure": (("ad_account_id",), "the ad account's row names its client"),
    "campaigns.tasks.sync_due": ((), "scans ad accounts"),
    "config.celery.canary": (("queue",), "no tenant's data"),
    "insights.tasks.erase": ((), "scans deletions; what names a Meta user at any client"),
    "insights.tasks.learn_completeness": ((), "scans ad accounts"),
    "insights.tasks.poll_tick": ((), "scans ad accounts"),
    "insights.tasks.first_sync_account": (("ad_account_id",), "the ad account's row names its client"),
    "insights.tasks.go_on_fetching": (("fetch_run_id",), "the run's row names its ad account"),
    "insights.tasks.advance_reports": (("ad_account_id",), "the ad account's row names its client"),
    "insights.tasks.scan": ((), "scans ad accounts, fetches, reports, alerts and connections"),
    "insights.tasks.thin_samples": ((), "scans samples of all ad accounts, and reads none of them out"),
    "metaads.tasks.process_webhooks": ((), "scans deliveries; listeners look the ad account up"),
    "strategies.tasks.erase": ((), "scans deletions; what names a Meta user at any client"),
    "strategies.tasks.evaluate_due": ((), "scans strategies"),
    "strategies.tasks.evaluate_account": (("ad_account_id",), "its strategies, each with its client"),
    "strategies.tasks.backtests_due": ((), "scans back-tests; each names its client and ad account"),
    "strategies.tasks.run_backtest": (("backtest_id",), "the back-test's row names client and ad account"),
    "strategies.tasks.generate_drafts": (("ad_account_id",), "the ad account's row names its client"),
}


#: Tasks whose message names one row.
BY_ID = [name for name, (arguments, _) in TASKS.items() if any(one.endswith("_id") for one in arguments)]


def own_tasks() -> dict[str, Any]:
    app.loader.import_default_modules()
    return {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}


def test_every_task_is_declared_with_what_its_message_carries():
    strange = sorted(set(own_tasks()) - set(TASKS))
    assert strange == [], (
        "say in tests/access/test_tasks.py what their messages carry and how they find the client"
    )
    assert sorted(set(TASKS) - set(own_tasks())) == []


@pytest.mark.parametrize("name", TASKS)
def test_a_message_carries_ids_only_and_never_a_client(name):
    arguments, _ = TASKS[name]
    takes = tuple(inspect.signature(own_tasks()[name].run).parameters)
    assert takes == arguments
    assert not {"client", "client_id", "user", "user_id", "principal"} & set(takes)


@pytest.mark.parametrize("name", BY_ID)
def test_a_message_with_an_id_of_nobody_does_nothing(estate, name):
    before = prints()
    own_tasks()[name].run(999_999_999)
    changed = {table for table, hashed in prints().items() if hashed != before[table]}
    assert changed <= {"accounts_lease"}


@pytest.mark.parametrize("name", BY_ID)
def test_a_message_about_northwinds_account_leaves_southwinds_rows_as_they_are(estate, name):
    before = rows_of_southwind(estate)
    own_tasks()[name].run(own_row(estate, TASKS[name][0][0]))
    assert rows_of_southwind(estate) == before


def own_row(estate: Any, argument: str) -> int:
    """The id of a row of Northwind's, of the kind that the message names."""
    from accounts.models import MetaConnection
    from campaigns.models import Change
    from insights.models import FetchRun
    from strategies.models import Backtest

    Backtest.everything.filter(uuid=estate.ids["backtest"]).update(state="queued")
    rows: dict[str, Any] = {
        "ad_account_id": estate.ad_account,
        "change_id": Change.everything.get(uuid=estate.ids["change"]),
        "backtest_id": Backtest.everything.get(uuid=estate.ids["backtest"]),
        "connection_id": MetaConnection.everything.get(client=estate.northwind),
        "fetch_run_id": FetchRun.everything.filter(ad_account_id=estate.ad_account.pk).first()
        or FetchRun.everything.create(
            ad_account_id=estate.ad_account.pk,
            kind="more",
            state="waiting",
            days=3,
            started_at=estate.clock.now(),
            seen_at=estate.clock.now(),
        ),
    }
    pk: int = rows[argument].pk
    return pk


def rows_of_southwind(estate: Any) -> dict[str, list[dict[str, Any]]]:
    """All rows of Southwind, by table."""
    from tests.access.world import tenant_models

    found = {}
    for model in tenant_models():
        columns = {field.attname for field in model._meta.concrete_fields}
        own = "client_id" if "client_id" in columns else "ad_account_id"
        value = estate.southwind.pk if own == "client_id" else estate.planted["AdAccount"].pk
        found[model.__name__] = list(model.everything.filter(**{own: value}).order_by("pk").values())
    assert MARKER in str(found)
    return found
