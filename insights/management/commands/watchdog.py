"""Watch without a broker: send mails, and tell people when ad accounts or workers fall silent: `manage.py watchdog`."""

from __future__ import annotations

import os
import signal
import socket
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from insights.watchdog import Watchdog
from metaads.clock import now


class Command(BaseCommand):
    help = "Send mails and tell people what is silent, without Redis and workers. A second one is a spare."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="one round, then end; for a machine's cron")

    def handle(self, *args: Any, **options: Any) -> None:
        watchdog = Watchdog(holder=f"{socket.gethostname()[:80]}:{os.getpid()}", now=now())
        if options["once"]:
            if watchdog.round(now=now()) is None:
                self.stdout.write("Another watchdog is at work.")
            watchdog.end(now=now())
            return
        stopping = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        watchdog.run(stopping)
