"""The one schedule: every task exists, every queue is served, and a second beat is silent."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from accounts.leases import take
from accounts.models import Lease
from config.celery import LONGER, QUEUES, ROUTES, SCHEDULE, OnlyBeat, app, canary
from config.engine import WORKERS


@pytest.fixture(autouse=True)
def loaded() -> None:
    app.autodiscover_tasks(force=True)


def test_every_task_of_the_schedule_is_one_that_a_worker_knows() -> None:
    assert {task for task, _, _ in SCHEDULE.values()} - set(app.tasks) == set()


def test_every_route_and_limit_names_a_task_that_a_worker_knows() -> None:
    assert (set(ROUTES) | set(LONGER)) - set(app.tasks) == set()


def test_every_task_goes_to_a_queue_that_somebody_serves() -> None:
    served = {queue for queues, _ in WORKERS.values() for queue in queues}
    assert served == set(QUEUES)
    for name in app.tasks:
        if not name.startswith("celery."):
            routed = app.amqp.router.route({}, name)["queue"].name
            assert routed in served, name


def test_the_poll_never_beats_faster_than_every_30_seconds() -> None:
    [(_, seconds, queue)] = [entry for entry in SCHEDULE.values() if entry[0] == "insights.tasks.poll_tick"]
    assert seconds == max(30, settings.POLL_SECONDS) and queue == "live"


@pytest.mark.fault("F23")
@pytest.mark.fault("F39")
def test_an_entry_that_waits_longer_than_its_period_is_dropped_not_piled_up() -> None:
    for entry in app.conf.beat_schedule.values():
        assert 5 <= entry["options"]["expires"] <= max(entry["schedule"], 10)


def test_limits_stay_below_the_time_after_which_redis_delivers_again() -> None:
    assert all(seconds < 600 for seconds in LONGER.values())
    assert app.conf.task_acks_late and app.conf.worker_prefetch_multiplier == 1


def test_tasks_are_sent_to_this_app_and_not_to_celery_s_default_one() -> None:
    from celery import current_app

    from metaads.tasks import process_webhooks

    assert current_app.main == "metaads" and process_webhooks.app.main == "metaads"


@pytest.mark.django_db
def test_a_canary_leaves_a_sign_of_life_of_its_queue(clock: Any) -> None:
    canary("live")
    lease = Lease.objects.get(name="canary:live")
    assert (lease.until - clock.now()).total_seconds() == 180


@pytest.mark.django_db
def test_a_second_beat_is_silent_while_the_first_holds_the_lease(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = OnlyBeat(app, lazy=True)
    sent: list[str] = []
    monkeypatch.setattr(beat, "apply_entry", lambda entry, producer=None: sent.append(entry.name))
    for entry in app.conf.beat_schedule:
        beat.add(name=entry, schedule=0.0, task="config.celery.canary")
    assert take(name="beat", holder="another beat", seconds=30, now=clock.now()) is not None
    assert beat.tick() == 1.0 and sent == []
    Lease.objects.filter(name="beat").delete()
    beat._asked = float("-inf")
    beat.tick()
    assert len(sent) == 1
    assert take(name="beat", holder="another beat", seconds=30, now=clock.now()) is None


@pytest.mark.django_db
def test_a_beat_that_ends_gives_the_lease_back_at_once(clock: Any) -> None:
    beat = OnlyBeat(app, lazy=True)
    assert beat._renew()
    beat.close()
    assert take(name="beat", holder="another beat", seconds=30, now=clock.now()) is not None


@pytest.mark.django_db
def test_after_a_start_everything_is_due_once(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    beat = OnlyBeat(app)
    sent: list[str] = []
    monkeypatch.setattr(beat, "apply_async", lambda entry, **rest: sent.append(entry.name))
    for _ in range(3 * len(SCHEDULE)):
        beat.tick()
    assert sorted(sent) == sorted(SCHEDULE)
