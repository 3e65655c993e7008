"""Work of this floor that nobody waits for."""

from __future__ import annotations

from celery import shared_task

import accounts.sentinel as watch
from metaads.clock import now


@shared_task(name="accounts.tasks.sentinel", ignore_result=True)
def sentinel() -> None:
    """One round over connections and alerts; harmless when two run at once."""
    watch.tend(now=now())
