"""``manage.py graph_sandbox``: the offline Graph API on a port, for the demo and for trying things out."""

from __future__ import annotations

import json
import pathlib
import re
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from metaads.sandbox.app import Sandbox, serve
from metaads.sandbox.csv_world import BadExport
from metaads.sandbox.journal import JournalMismatch
from metaads.sandbox.lab.schema import BadWorlds
from metaads.sandbox.replay import Replayed
from metaads.sandbox.scenarios.worlds import UnknownWorld

VERSION = "v26.0"


class Command(BaseCommand):
    """Prints one JSON line when it is ready; ends on SIGTERM or Ctrl-C."""

    help = "Run the offline Graph API (sandbox)."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8010, help="0 = any free port")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument(
            "--world", default="demo", help="demo, tiny, zones, many, bench, csv:PATH, lab:PATH#NAME"
        )
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--speed", type=float, default=1.0, help="divides the 15-minute refresh period, nothing else"
        )
        parser.add_argument(
            "--journal", type=pathlib.Path, help="a directory; without it the world is forgotten at the end"
        )
        parser.add_argument(
            "--replay",
            action="store_true",
            help="for benchmarks: answer a repeated insights read from memory, until something changes the world",
        )
        parser.add_argument("--app-id", default="1000000000000001")
        parser.add_argument("--app-secret", default="sandbox-secret")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["speed"] <= 0:
            raise CommandError("--speed must be above 0.")
        world = options["world"]
        if world.startswith("csv:"):
            world = f"csv:{pathlib.Path(world.removeprefix('csv:')).resolve()}"
        if world.startswith("lab:"):
            path, _, name = world.removeprefix("lab:").rpartition("#")
            world = f"lab:{pathlib.Path(path).resolve()}#{name}"
        journal = None
        if options["journal"]:
            journal = (
                options["journal"] / f"{re.sub(r'[^A-Za-z0-9]+', '-', world)[-60:]}-{options['seed']}.jsonl"
            )
        try:
            sandbox = Sandbox(
                world=world,
                seed=options["seed"],
                speed=options["speed"],
                journal_path=journal,
                app_id=options["app_id"],
                app_secret=options["app_secret"],
            )
        except (UnknownWorld, BadExport, BadWorlds, JournalMismatch) as error:
            raise CommandError(str(error)) from None
        try:
            answering = Replayed(sandbox) if options["replay"] else sandbox
            server = serve(answering, port=options["port"], host=options["host"])
        except OSError as error:
            raise CommandError(
                f"Port {options['port']} on {options['host']} cannot be used ({error.strerror}). "
                "Choose another one with --port (make demo: GRAPH_PORT=)."
            ) from None
        done = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: done.set())
        runner = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        runner.start()
        self.stdout.write(
            json.dumps(
                {
                    "port": server.server_port,
                    "version": VERSION,
                    "access_token": sandbox.token(),
                    "ad_accounts": sandbox.ad_accounts(),
                    "app_id": options["app_id"],
                    "app_secret": options["app_secret"],
                }
            )
        )
        self.stdout.flush()
        while not done.wait(0.5):
            pass
        server.shutdown()
        server.server_close()
