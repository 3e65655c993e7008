"""A first sync whose process dies goes on: before and after every call to Meta and every store, one lane and four.

Each step of a sync is a passage: a call leaves, its answer comes, a store begins, is about to be committed, is
committed. The process dies at one of them, and from then on does nothing more: no call, no store, no lease given back.
"""

import threading
from collections import defaultdict
from contextlib import contextmanager

import pytest
from django.apps import apps
from django.db import connection, transaction

import accounts.leases as leases
import insights.errand as errand
import insights.fetch as fetch
from accounts.models import Lease
from accounts.tenancy import AccountFacts
from insights.errand import LEASE_SECONDS
from insights.fetch import LEVELS, first_sync, go_on, progress
from insights.models import FetchRun
from insights.store.rollups import checksum
from metaads.gateway import plugged
from tests.door import WSGIAdapter
from tests.insights.test_fetch_abreast import tables

DAYS = 9  # the newest days with their hours and reach, and history with its hours


class Killed(BaseException):
    """The process ended here."""


class Process:
    """What may die at its `at`-th passage (0: never)."""

    def __init__(self):
        self._lock, self.threads = threading.Lock(), set()
        self.begins()

    def begins(self, at=0):
        self.at, self.passages, self.dead = at, [], False

    def passes(self, where):
        with self._lock:
            self.passages.append(where)
            self.threads.add(threading.current_thread().name.split("_")[0])
            self.dead = self.dead or len(self.passages) == self.at
            if self.dead:
                raise Killed(where)


class Door(WSGIAdapter):
    def __init__(self, sandbox, process):
        super().__init__(sandbox)
        self._process = process

    def send(self, request, *args, **kwargs):
        self._process.passes("a call leaves")
        answer = super().send(request, *args, **kwargs)
        self._process.passes("its answer comes")
        return answer


@pytest.fixture
def process(monkeypatch):
    """The stores and leases of the product, in a process that may die."""
    process = Process()
    for name in ("upsert", "keep_reach"):
        monkeypatch.setattr(fetch, name, _mortal(getattr(fetch, name), process))
    release = leases.release
    monkeypatch.setattr(leases, "release", lambda **words: None if process.dead else release(**words))
    monkeypatch.setattr(errand, "_PIECE", 10)  # the tiny world has a dozen rows a day
    return process


def _mortal(store, process):
    def stores(**words):
        process.passes("a store begins")
        with transaction.atomic():
            stored = store(**words)
            process.passes("it is not yet committed")
        process.passes("it is committed")
        return stored

    return stores


@contextmanager
def undone(clock):
    """What happens in the block has not happened after it."""
    start = clock.now()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    clock.set(start)


def emptied(account):
    """The same where whoever stores has a connection of its own."""
    for model in apps.get_app_config("insights").get_models():
        if issubclass(model, AccountFacts):
            model.everything.filter(ad_account_id=account.pk).delete()
    Lease.objects.all().delete()


def shows_only_what_is_stored(account, whole):
    """Days and hours are there whole, with a slice that says so, or not at all; and no more is claimed."""
    half, done, hours = tables(account), defaultdict(set), set()
    assert set(half["slices"]) <= set(whole["slices"]) and set(half["reach"]) <= set(whole["reach"])
    for kind, level, day, *_ in half["slices"]:
        hours |= {day} if kind == "hour" else set()
        done[day] |= {level} if kind == "day" else set()
    assert half["days"] == [row for row in whole["days"] if row[0] in done[row[2]]]
    assert half["hours"] == [row for row in whole["hours"] if row[1] in hours]
    assert set(checksum(account_id=account.pk).values()) == {0}
    run = FetchRun.objects.of(account).get()
    assert run.state == "running" and progress(account).state != "done"
    assert run.done <= sum(set(LEVELS) <= levels for levels in done.values())


def goes_on(account, clock, step):
    clock.advance(LEASE_SECONDS + 1)
    run = FetchRun.objects.of(account).get()
    if step % 2:
        return go_on(ad_account=account, run=run, now=clock.now())
    return first_sync(ad_account=account, days=DAYS, now=clock.now())


def killed_at(step, account, clock, process, whole):
    process.begins(at=step)
    with pytest.raises(Killed):
        first_sync(ad_account=account, days=DAYS, now=clock.now())
    shows_only_what_is_stored(account, whole)
    process.begins()
    assert goes_on(account, clock, step).state == "done", step
    assert tables(account) == whole, step
    assert set(checksum(account_id=account.pk).values()) == {0}, step


def undisturbed(account, clock, process):
    """The tables of a sync that nothing happens to, and how many passages it has."""
    process.begins()
    assert first_sync(ad_account=account, days=DAYS, now=clock.now()).state == "done"
    whole = tables(account)
    assert len(whole["days"]) > 60 and whole["hours"] and whole["reach"]
    return whole, list(process.passages)


def every_step(lanes, few):
    """Each `few`-th step, so that every kind of passage is met; with `make prove` each one."""
    return [pytest.param(lanes, few), pytest.param(lanes, 1, marks=pytest.mark.prove)]


@pytest.mark.django_db
@pytest.mark.parametrize(("lanes", "every"), every_step(1, 3) + every_step(4, 4))
def test_a_first_sync_killed_at_any_call_or_store_ends_like_an_undisturbed_one(
    connected, sandbox, clock, process, lanes, every
):
    account = connected.ad_account
    with plugged(Door(sandbox, process), lanes=lanes):
        with undone(clock):
            whole, passages = undisturbed(account, clock, process)
        assert lanes > 1 or set(passages[::every]) == set(passages), "every kind is met"
        for step in range(1, len(passages) + 1, every):
            with undone(clock):
                killed_at(step, account, clock, process, whole)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("lanes", "every"), every_step(4, 4))
def test_a_process_killed_while_it_stores_beside_reading_ends_like_an_undisturbed_one(
    connected, sandbox, clock, process, lanes, every
):
    """On PostgreSQL a store has a thread and a connection of its own, and nobody sees what it has not committed."""
    account, start = connected.ad_account, clock.now()
    with plugged(Door(sandbox, process), lanes=lanes):
        whole, passages = undisturbed(account, clock, process)
        assert ("aside" in process.threads) == (connection.vendor == "postgresql")
        for step in range(1, len(passages) + 1, every):
            emptied(account)
            clock.set(start)
            killed_at(step, account, clock, process, whole)


@pytest.mark.django_db
def test_the_next_sync_waits_until_the_lease_of_the_killed_one_has_run_out(
    connected, sandbox, clock, process
):
    account = connected.ad_account
    with plugged(Door(sandbox, process)):
        process.begins(at=3)
        with pytest.raises(Killed):
            first_sync(ad_account=account, days=DAYS, now=clock.now())
        process.begins()
        clock.advance(LEASE_SECONDS - 1)
        assert first_sync(ad_account=account, days=DAYS, now=clock.now()).state == "waiting"
        assert process.passages == [], "nobody asks Meta what another one may be asking"
        clock.advance(2)
        assert first_sync(ad_account=account, days=DAYS, now=clock.now()).state == "done"
