"""A real Celery worker, as the server form starts it, on the clock of a lane.

python -m tests.prove.worker CLOCK-FILE
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    import django

    django.setup()
    from config.celery import app
    from metaads.clock import using
    from tests.prove.lives import SharedClock

    options = ("-c", "1", "-Q", "control,write,live", "-l", "WARNING", "--without-gossip", "--without-mingle")
    with using(SharedClock(Path(sys.argv[1])).now):
        app.worker_main(["worker", "-n", f"{Path(sys.argv[1]).parent.name}@%h", *options])


if __name__ == "__main__":
    main()
