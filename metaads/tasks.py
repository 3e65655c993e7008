"""Work of this floor that Celery starts (config.celery has the schedule)."""

from __future__ import annotations

from celery import shared_task

from metaads.clock import now
from metaads.inbox import forget, process


@shared_task
def process_webhooks() -> None:
    """Announce stored deliveries; drop those that are too old to be repeated."""
    moment = now()
    if process(now=moment):
        forget(now=moment)
