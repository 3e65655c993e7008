"""Stop all changes, from a shell on the server: works while queue, workers and web are dead."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.errors import Refused
from accounts.models import AdAccount, Client
from campaigns.changes.switch import Scope, pull, release
from campaigns.restored import OPERATOR
from metaads.clock import now


class Command(BaseCommand):
    help = (
        "Stop all changes at once: everywhere, of one client (--client) or of one ad account (--ad-account)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--client", help="slug of a client")
        parser.add_argument("--ad-account", help="act_1 or 1")
        parser.add_argument("--release", action="store_true", help="let changes pass again")
        parser.add_argument("--reason", default="Stopped from the command line")

    def handle(self, *args: Any, **options: Any) -> None:
        scope = _scope(options["client"], options["ad_account"])
        moment = now()
        try:
            if options["release"]:
                done = release(scope=scope, principal=OPERATOR, reason=options["reason"], now=moment)
                self.stdout.write(
                    f"Released: {scope.words}." if done else f"It was not stopped: {scope.words}."
                )
                return
            row = pull(scope=scope, principal=OPERATOR, reason=options["reason"], now=moment)
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"Stopped since {row.pulled_at:%Y-%m-%d %H:%M:%S} UTC: {scope.words}.")


def _scope(client: str | None, ad_account: str | None) -> Scope:
    if ad_account:
        account = (
            AdAccount.everything.select_related("client")
            .filter(meta_id=ad_account.removeprefix("act_"))
            .first()
        )
        if account is None:
            raise CommandError(f"There is no ad account {ad_account}.")
        return Scope(ad_account=account)
    if client:
        found = Client.objects.filter(slug=client).first()
        if found is None:
            slugs = ", ".join(Client.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no client {client}. There are: {slugs}.")
        return Scope(client=found)
    return Scope()
