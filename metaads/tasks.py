"""Work of this floor that Celery starts (config.celery has the schedule)."""

from __future__ import annotations

from celery import shared_task

from metaads.clock import monotonic, now
from metaads.inbox import forget, process

#: Seconds after which one run begins no further batch; the next run goes on.
PASS = 20.0


@shared_task
def process_webhooks() -> None:
    """Announce what is stored, batch after batch; drop deliveries that are too old to be repeated."""
    begun, taken = monotonic(), 0
    while monotonic() - begun < PASS and (some := process(now=now())):
        taken += some
    if taken:
        forget(now=now())
