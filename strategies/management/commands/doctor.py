"""Make the sixteen checks of the connection doctor and say what to do. Ends with 1 when one fails."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

import accounts.clients as clients
import strategies.doctor as doctor
from accounts.diagnosis import State, as_markdown, as_text, worst
from accounts.errors import Refused
from accounts.models import Client, Role
from accounts.tenancy import Principal
from metaads.clock import now

#: Whoever runs commands on the server may see all of it; no row of the database is needed to know that.
OPERATOR = Principal(kind="system", user_id=None, name="manage.py", roles=((None, Role.OWNER.value),))


class Command(BaseCommand):
    help = (
        "Check sign-in, tokens, live data and strategies, and say what to do. Exit code 1 when a check fails."
    )
    #: It looks at what is wrong with the settings by itself, and says more about it.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", help="Name, slug or UUID; without it: every client")
        parser.add_argument("--json", action="store_true", help="For a script")
        parser.add_argument(
            "--docs", action="store_true", help="Print docs/troubleshooting.md, and check nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["docs"]:
            self.stdout.write(as_markdown(doctor.manual()), ending="")
            return
        client = self._client(options["client"])
        found = doctor.checks(OPERATOR, client=client, now=now())
        state = worst(found)
        if options["json"]:
            body = {
                "state": state.value,
                "client": client and client.slug,
                "checks": [asdict(one) for one in found],
            }
            self.stdout.write(json.dumps(body, indent=2))
        else:
            self.stdout.write(as_text(found))
        if state is State.FAIL:
            sys.exit(1)

    def _client(self, name: str | None) -> Client | None:
        if not name:
            return None
        try:
            return clients.named(name=name, principal=OPERATOR)
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        except DatabaseError:
            self.stderr.write("The database does not answer, so the client cannot be looked up.")
            return None
