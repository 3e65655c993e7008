"""Rows are stored beside reading where the database lets them be; what is stored, told and failed is the same."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

import insights.fetch as fetch
from insights.aside import Aside
from insights.fetch import first_sync, go_on
from insights.models import FetchRun
from insights.store.rollups import checksum
from tests.insights.test_fetch_abreast import forgotten, tables


@pytest.fixture
def thread():
    with ThreadPoolExecutor(max_workers=1) as one:
        yield one


def nothing():
    pass


def test_a_job_waits_for_the_one_before_and_what_follows_is_done_by_the_caller(thread):
    beside, going, told = Aside(thread), threading.Event(), []

    def first():
        assert going.wait(10)
        told.append("first")

    beside.take(first, then=lambda: told.append(threading.current_thread() is threading.main_thread()))
    beside.look()
    assert told == [], "it still runs, and nobody waits for it"
    going.set()
    beside.take(lambda: told.append("second"), then=nothing)
    beside.finish()
    assert told == ["first", True, "second"]


def test_a_look_does_what_follows_a_job_that_is_over(thread):
    beside, told = Aside(thread), []
    beside.take(nothing, then=lambda: told.append("over"))
    thread.submit(nothing).result()  # one thread: the job lies behind it
    beside.look()
    beside.look()
    assert told == ["over"]


def test_what_a_job_raises_comes_out_before_the_next_begins(thread):
    beside, told = Aside(thread), []
    beside.take(lambda: 1 / 0, then=lambda: told.append("followed"))
    with pytest.raises(ZeroDivisionError):
        beside.take(lambda: told.append("next"), then=nothing)
    beside.finish()
    assert told == []


@pytest.mark.django_db(transaction=True)
def test_stored_beside_reading_or_at_once_the_tables_are_the_same(connected, clock, monkeypatch):
    account, by = connected.ad_account, set()
    upsert = fetch.upsert

    def watched(**words):
        by.add(threading.current_thread().name.split("_")[0])
        return upsert(**words)

    monkeypatch.setattr(fetch, "upsert", watched)
    assert first_sync(ad_account=account, days=20, now=clock.now()).state == "done"
    assert by == ({"aside"} if connection.vendor == "postgresql" else {"MainThread"})
    beside = tables(account)
    assert len(beside["days"]) > 150 and set(checksum(account_id=account.pk).values()) == {0}
    forgotten(account)
    by.clear()
    with transaction.atomic():  # another connection would not see what this one has written
        assert first_sync(ad_account=account, days=20, now=clock.now()).state == "done"
    assert by == {"MainThread"}
    assert tables(account) == beside


@pytest.mark.django_db(transaction=True)
def test_a_store_that_fails_ends_the_run_and_the_next_one_goes_on_behind_what_was_stored(
    connected, clock, monkeypatch
):
    account, upsert, stored = connected.ad_account, fetch.upsert, []

    def failing(**words):
        if len(stored) == 2:
            raise RuntimeError("the disk is full")
        stored.append(upsert(**words))

    monkeypatch.setattr(fetch, "upsert", failing)
    with pytest.raises(RuntimeError, match="the disk is full"):
        first_sync(ad_account=account, days=20, now=clock.now())
    halfway = tables(account)
    assert len(halfway["days"]) > 0 and len(halfway["slices"]) < 20 * 4
    run = FetchRun.objects.of(account).get()
    monkeypatch.setattr(fetch, "upsert", upsert)
    assert go_on(ad_account=account, run=run, now=clock.now()).state == "done"
    went_on = tables(account)
    assert set(halfway["slices"]) <= set(went_on["slices"])
    forgotten(account)
    first_sync(ad_account=account, days=20, now=clock.now())
    assert tables(account) == went_on
