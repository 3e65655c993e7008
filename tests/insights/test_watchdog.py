"""The watch that needs no broker: mails leave and people are told although Redis, workers and beat are dead."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import OperationalError, connection
from kombu.exceptions import OperationalError as BrokerIsAway

from accounts import alerts, outbox
from accounts.models import AdAccount, Alert, Lease, MetaConnection
from config.celery import CANARY_SECONDS, QUEUES, app, canary
from insights.watchdog import ALL_SILENT, DUTIES, LEASE_SECONDS, ONE_SILENT, Duty, Watchdog, room, workers
from metaads.clock import now
from tests.conftest import START

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
CANARY = timedelta(seconds=CANARY_SECONDS)


@pytest.fixture
def broker_is_dead(settings: Any) -> Any:
    """Nobody listens where the queue should be."""
    old = app.conf.broker_url, app.conf.broker_transport_options
    app.conf.broker_url, app.conf.broker_transport_options = "redis://127.0.0.1:1/0", {"max_retries": 0}
    app._pool = None
    app.amqp._producer_pool = None
    with pytest.raises(BrokerIsAway), app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=1)
    yield
    app.conf.broker_url, app.conf.broker_transport_options = old
    app._pool = None
    app.amqp._producer_pool = None


def open_() -> Alert | None:
    return Alert.everything.filter(key="workers", closed_at__isnull=True).first()


def watch(now: Any, *, since: Any = START) -> Alert | None:
    workers(queues=QUEUES, now=now, since=since)
    return open_()


def subjects() -> list[str]:
    return [one.subject for one in mail.outbox]


def test_with_the_broker_dead_silence_is_told_and_the_mail_leaves(
    agency: Any, clock: Any, broker_is_dead: None
) -> None:
    row = MetaConnection.everything.create(
        client=agency.northwind, meta_user_id="1", token="t", connected_at=START, checked_at=START
    )
    AdAccount.everything.create(
        client=agency.northwind, meta_id="1", name="Shop", currency="USD", timezone_name="UTC",
        connection=row, enabled_at=START, last_contact_at=START,
    )  # fmt: skip
    watchdog = Watchdog(holder="here", now=START)
    while clock.now() < START + timedelta(hours=6, minutes=2):
        assert watchdog.round(now=clock.now()) is not None
        clock.advance(30)
    to_bob = [one.subject for one in mail.outbox if one.to == ["bob@example.com"]]
    to_alice = [one.subject for one in mail.outbox if one.to == ["alice@example.com"]]
    assert to_bob == ["Northwind: No answer from Meta for Shop in 6 hours"]
    assert to_alice == ["metaads: The workers have stopped: no task runs any more", *to_bob]


def test_every_duty_is_done_at_its_own_pace(clock: Any) -> None:
    done: dict[str, int] = {}
    watchdog = Watchdog(holder="here", now=START)
    for _ in range(720):
        for name in watchdog.round(now=clock.now()) or ():
            done[name] = done.get(name, 0) + 1
        clock.advance(5)
    money = {"brake": 60, "pauses": 720, "truth": 6}
    assert done == money | {
        "workers": 120,
        "sweeps": 120,
        "disks": 60,
        "silence": 60,
        "mails": 720,
        "sweep": 1,
    }
    assert {duty.name for duty in DUTIES} == set(done)


def test_one_duty_that_fails_silences_no_other(agency: Any, clock: Any) -> None:
    def fail(now: Any, since: Any) -> None:
        raise RuntimeError("no such table")

    done: list[Any] = []
    duties = (
        Duty("bad", MINUTE, fail),
        Duty("good", MINUTE, lambda now, since: done.append(now)),
    )
    assert Watchdog(holder="here", now=START, duties=duties).round(now=START) == ("good",)
    assert done == [START]


def test_two_watchdogs_are_one_and_the_spare_takes_over(clock: Any) -> None:
    first, spare = Watchdog(holder="a", now=START), Watchdog(holder="b", now=START)
    assert first.round(now=START) is not None
    assert spare.round(now=START + timedelta(seconds=5)) is None
    assert first.round(now=START + timedelta(seconds=10)) is not None
    after = START + timedelta(seconds=10 + LEASE_SECONDS)
    assert spare.round(now=after - timedelta(seconds=1)) is None
    assert spare.round(now=after) is not None
    assert first.round(now=after) is None


def test_a_clock_that_was_set_back_stops_no_duty(clock: Any) -> None:
    watchdog = Watchdog(holder="here", now=START)
    watchdog.round(now=START)
    Lease.objects.all().delete()
    assert "sweep" in (watchdog.round(now=START - timedelta(days=1)) or ())


def test_while_every_queue_gives_a_sign_nothing_is_said(clock: Any) -> None:
    for _ in range(60):
        for queue in QUEUES:
            canary(queue)
        assert watch(clock.now()) is None
        clock.advance(60)


@pytest.mark.fault("F19", "F96")
@pytest.mark.parametrize("beat, hint", [(True, "look at Redis first"), (False, "look at the processes")])
def test_all_queues_silent_is_the_workers_have_stopped(
    agency: Any, clock: Any, beat: bool, hint: str
) -> None:
    for queue in QUEUES:
        canary(queue)
    Lease.objects.create(name="beat", holder="b", until=START + timedelta(days=beat))
    assert watch(START + CANARY - timedelta(seconds=1)) is None
    alert = watch(START + CANARY + ALL_SILENT)
    assert alert is not None
    assert (alert.severity, alert.client, hint in alert.advice) == ("critical", None, True)
    outbox.deliver(now=clock.now() + timedelta(hours=1))
    assert [one.to for one in mail.outbox] == [["alice@example.com"]], "owners, nobody else"
    clock.advance(3600)
    for queue in QUEUES:
        canary(queue)
    assert watch(clock.now()) is None
    outbox.deliver(now=clock.now())
    assert subjects()[-1] == "Solved: metaads: The workers have stopped: no task runs any more"


def test_an_installation_whose_worker_never_ran_is_told_too(agency: Any, clock: Any) -> None:
    assert watch(START + ALL_SILENT - timedelta(seconds=1)) is None
    assert watch(START + ALL_SILENT) is not None


def test_a_start_after_a_night_away_says_nothing_while_the_workers_start(agency: Any, clock: Any) -> None:
    for queue in QUEUES:
        canary(queue)
    began = START + timedelta(hours=12)
    assert watch(began + timedelta(seconds=5), since=began) is None
    assert watch(began + ALL_SILENT, since=began) is not None


def test_a_watchdog_that_starts_again_does_not_call_solved_what_is_not(agency: Any, clock: Any) -> None:
    assert watch(START + ALL_SILENT) is not None
    again = START + timedelta(hours=1)
    assert watch(again, since=again) is not None
    assert watch(again + ALL_SILENT, since=again) is not None
    assert Alert.everything.count() == 1


def test_one_queue_behind_a_long_task_is_told_after_a_quarter_of_an_hour(agency: Any, clock: Any) -> None:
    while clock.now() < START + CANARY + ONE_SILENT:
        for queue in QUEUES:
            if queue != "reports" or clock.now() == START:
                canary(queue)
        assert watch(clock.now()) is None
        clock.advance(60)
    for queue in QUEUES:
        if queue != "reports":
            canary(queue)
    alert = watch(clock.now())
    assert alert is not None
    assert (alert.severity, alert.stage) == ("warning", "some")
    assert "queue reports" in alert.title
    canary("reports")
    assert watch(clock.now()) is None


def test_the_command_does_one_round_for_a_machines_cron(agency: Any, clock: Any) -> None:
    outbox.send(key="k", address="bob@example.com", subject="s", body="b", now=clock.now())
    call_command("watchdog", "--once")
    assert subjects() == ["s"]
    assert Lease.objects.get(name="watchdog").until <= clock.now(), "given back: the next one need not wait"


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_for_a_round_does_not_end_the_watch() -> None:
    class TwoRounds(threading.Event):
        rounds = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.rounds += 1
            return self.rounds == 2

    def away_at_first(execute: Any, *query: Any) -> Any:
        if stopping.rounds == 0:
            raise OperationalError("server closed the connection unexpectedly")
        return execute(*query)

    def run() -> None:
        with connection.execute_wrapper(away_at_first):
            Watchdog(holder="here", now=now()).run(stopping)

    stopping = TwoRounds()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert Lease.objects.get(name="watchdog").holder == "here"


def test_what_is_said_about_workers_is_not_the_clients(agency: Any, clock: Any) -> None:
    watch(START + ALL_SILENT)
    assert alerts.open_alerts(agency.principals.vera) == alerts.open_alerts(agency.principals.bob) == []
    assert len(alerts.open_alerts(agency.principals.alice)) == 1


@pytest.mark.fault("F99")
def test_owners_are_told_that_a_disk_fills_up_and_once_more_that_it_is_full(
    agency: Any, clock: Any, small_disk: Any
) -> None:
    def told() -> Any:
        room(now=clock.now())
        return Alert.everything.filter(key="disk", closed_at__isnull=True).first()

    small_disk(free=2_000)
    assert told() is None
    small_disk(free=500)
    alert = told()
    assert (alert.client, alert.severity, alert.stage) == (
        None,
        "warning",
        "low",
    ) and "500 MiB" in alert.advice
    small_disk(free=100)
    alert = told()
    assert (alert.severity, alert.stage) == ("critical", "full") and "Raises and starts rest" in alert.advice
    small_disk(free=2_000)
    assert told() is None
