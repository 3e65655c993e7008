"""Several reads that wait for Meta at once end in the same tables as one after the other, whatever happens to them."""

import threading

import pytest

import insights.errand as errand
import insights.fetch as fetch
import insights.report_runs as report_runs
from insights.fetch import first_sync
from insights.models import DayRow, HourRow, PeriodReach, Slice
from insights.store.rollups import checksum
from metaads.gateway import plugged
from tests.door import WSGIAdapter

pytestmark = pytest.mark.django_db


class Counting(WSGIAdapter):
    """The door, knowing which threads came through it."""

    def __init__(self, sandbox):
        super().__init__(sandbox)
        self.threads = set()

    def send(self, request, *args, **kwargs):
        self.threads.add(threading.current_thread().name)
        return super().send(request, *args, **kwargs)


@pytest.fixture
def four_lanes(sandbox, monkeypatch):
    monkeypatch.setattr(errand, "_PIECE", 10)  # the tiny world has a dozen rows a day
    door = Counting(sandbox)
    with plugged(door, lanes=4):
        yield door


def tables(account):
    """Everything that a sync stores but when it was stored."""
    names = (
        "level",
        "object_id",
        "day",
        "breakdown",
        "spend",
        "impressions",
        "purchases",
        "reach",
        "actions",
    )
    return {
        "days": sorted(DayRow.objects.of(account).values_list(*names)),
        "hours": sorted(
            HourRow.objects.of(account).values_list("object_id", "day", "hour", "spend", "impressions")
        ),
        "reach": sorted(PeriodReach.objects.of(account).values_list("level", "object_id", "since", "reach")),
        "slices": sorted(
            Slice.objects.of(account).values_list("kind", "level", "day", "rows", "complete", "agrees")
        ),
    }


def forgotten(account):
    for model in (DayRow, HourRow, PeriodReach, Slice):
        model.everything.filter(ad_account_id=account.pk).delete()


def test_one_lane_and_four_end_in_the_same_tables(connected, clock, four_lanes):
    account = connected.ad_account
    assert first_sync(ad_account=account, days=40, now=clock.now()).state == "done"
    assert sum(name.startswith("graph lane") for name in four_lanes.threads) > 1, "several were under way"
    abreast = tables(account)
    assert len(abreast["days"]) > 300 and set(checksum(account_id=account.pk).values()) == {0}
    forgotten(account)
    with plugged(four_lanes):
        assert first_sync(ad_account=account, days=40, now=clock.now()).state == "done"
    assert tables(account) == abreast


@pytest.mark.parametrize("fault", ["transient", "truncated", "dup_page", "reduce", "throttle"])
def test_a_fault_in_one_lane_changes_no_number(connected, sandbox, clock, four_lanes, fault):
    account = connected.ad_account
    for _ in range(1 if fault == "throttle" else 3):
        sandbox.faults.arm(fault, {"edge": "insights"}, times=1, at=0.0)
    run = first_sync(ad_account=account, days=28, now=clock.now())
    for _ in range(5):
        if run.state == "done":
            break
        clock.advance(1800)
        run = first_sync(ad_account=account, days=28, now=clock.now())
    assert run.state == "done" and not sandbox.faults.armed()
    hit = tables(account)
    forgotten(account)
    with plugged(four_lanes):
        assert first_sync(ad_account=account, days=28, now=clock.now()).state == "done"
    assert tables(account) == hit


def test_no_lane_goes_on_once_meta_has_asked_to_wait(connected, sandbox, clock, four_lanes):
    sandbox.faults.arm("throttle", times=1, at=0.0)
    before = len(four_lanes.requests)
    run = first_sync(ad_account=connected.ad_account, days=90, now=clock.now())
    assert run.state == "waiting"
    assert len(four_lanes.requests) - before <= 4, "what was on its way, and no more"


@pytest.mark.fault("F63")
def test_the_rows_that_are_held_at_once_do_not_grow_with_the_days(connected, clock, four_lanes, monkeypatch):
    account = connected.ad_account
    monkeypatch.setattr(report_runs, "AT_ONCE", 24)
    lock, held, most = threading.Lock(), [0], [0]

    def understood(page, question):
        found = real_understood(page, question)
        with lock:
            held[0] += len(found.rows)
            most[0] = max(most[0], held[0])
        return found

    def upsert(*, rows, **more):
        kept = list(rows)
        stored = real_upsert(rows=kept, **more)
        with lock:
            held[0] -= len(kept)
        return stored

    real_understood, real_upsert = errand.understood, fetch.upsert
    monkeypatch.setattr(errand, "understood", understood)
    monkeypatch.setattr(fetch, "upsert", upsert)
    peaks = {}
    for days in (20, 80):
        forgotten(account)
        most[0] = 0
        assert first_sync(ad_account=account, days=days, now=clock.now(), kind="manual").state == "done"
        assert held[0] == 0, "every row that was read was stored"
        peaks[days] = most[0]
    whole = DayRow.objects.of(account).count() + HourRow.objects.of(account).count()
    assert peaks[80] <= 1.5 * peaks[20] and 4 * peaks[80] < whole, (peaks, whole)
