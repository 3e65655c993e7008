"""manage.py after_restore: a backup was put back; nothing leaves until Meta and a person have looked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

import accounts.restored as restored
import campaigns.restored as restoring
from accounts.models import ConnectionState
from metaads.clock import now


class Command(BaseCommand):
    help = "After a restore: stop changes, hold every connection, end sessions and links, ask Meta about each token."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="The database was restored from a backup.")
        parser.add_argument("--check", action="store_true", help="only ask Meta again about what is held")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            self._hold(options["reason"])
        waiting = 0
        for row in restored.ask(now=now()):
            state = ConnectionState(row.state).label.lower()
            if row.held:
                waiting += 1
                state = f"held: Meta gave no answer. {row.reason}".strip()
            elif row.reason:
                state = f"{state}: {row.reason}"
            self.stdout.write(f"  {row.client.slug}  {row.meta_user_name or row.meta_user_id}  {state}")
        if waiting:
            self.stdout.write(
                f"{waiting} connections stay held and are asked about every few minutes, or now with --check."
            )
        self.stdout.write(
            "Then read the structure, look through open changes, and let changes pass again with:"
        )
        self.stdout.write('  python manage.py stop --release --reason "looked through after the restore"')

    def _hold(self, reason: str) -> None:
        held = restoring.hold(reason=reason, now=now())
        restored.beat(folder=Path(settings.VAR_DIR), now=now())
        self.stdout.write("Stopped: no change is sent. Approved ones expire.")
        self.stdout.write(
            f"Held: {held.connections} connections. Ended: {held.sessions} sessions, {held.links} one-time links."
        )
        for key in held.api_keys:
            self.stdout.write(f"  API key {key}: good again if it was revoked since the backup; look.")
