"""Move every stored secret under the newest key, in small steps that may be interrupted."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

import accounts.rotation as rotation
from accounts.errors import Refused


class Command(BaseCommand):
    help = (
        "Reseal all stored tokens under the first key of FERNET_KEYS. May be stopped and run again at any time;"
        " says when the old key may be removed."
    )
    #: It mends what the check of the keys complains about.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=rotation.BATCH, help="Rows per transaction")
        parser.add_argument("--status", action="store_true", help="Only count the rows per key")
        parser.add_argument(
            "--give-up", metavar="KEY", help="Empty what lies under this lost key; those accounts reconnect"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["give_up"]:
                self.stdout.write(f"Emptied {rotation.give_up(options['give_up'])} stored values.")
            elif not options["status"]:
                for moved in rotation.rotate(batch=max(1, options["batch"])):
                    self.stdout.write(f"Moved {moved} rows.")
            self._tell()
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        except ValueError:
            raise CommandError("FERNET_KEYS cannot be used; each must be a Fernet key.") from None

    def _tell(self) -> None:
        counts, names = rotation.rows_per_key(), rotation.key_names()
        newest = next(iter(counts))
        for key, count in counts.items():
            where = names.get(key, "not in FERNET_KEYS")
            self.stdout.write(f"{key}  {count:>6} rows  {where}{' (newest)' if key == newest else ''}")
        for key in (key for key in names if key != newest):
            if counts[key]:
                self.stdout.write(f"Keep {names[key]} ({key}): {counts[key]} rows need it.")
            else:
                self.stdout.write(
                    f"No row uses {names[key]} ({key}): it may be removed once every process runs with the new list."
                )
