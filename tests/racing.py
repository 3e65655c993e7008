"""Several things at once, each in a thread of its own with a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection

from accounts.errors import Refused


def at_once(*jobs: Callable[[], Any], refusals: tuple[type[Exception], ...] = (Refused,)) -> list[Any]:
    """What each job returned or was refused with, all started together."""
    gate, results = threading.Barrier(len(jobs)), [None] * len(jobs)

    def work(index: int) -> None:
        gate.wait()
        try:
            results[index] = jobs[index]()
        except refusals as refusal:
            results[index] = refusal  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
