"""Which Redis database a process of the tests takes."""

import os
import re


def own_redis(url: str) -> str:
    """One of its own for each process of pytest-xdist: the cache and the queues are shared otherwise."""
    worker = int(re.sub(r"[^0-9]", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    base, _, number = url.rpartition("/")
    return f"{base}/{int(number) + worker}" if number.isdigit() else url
