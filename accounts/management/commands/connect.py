"""Connect a pasted token (a system user's, or a person's) to a client, from a server or a script."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.clients as clients
import accounts.connections as connections
from accounts.claims import Established
from accounts.errors import Refused
from accounts.models import Membership, Role
from metaads.clock import now


class Command(BaseCommand):
    help = "Verify a Meta token from standard input and store it, encrypted, for a client."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", required=True, help="Name, slug or UUID of the client")
        parser.add_argument(
            "--token-stdin",
            action="store_true",
            required=True,
            help="Read the token from standard input (an argument would show in the process list)",
        )
        parser.add_argument(
            "--enable", action="append", default=[], metavar="ACT", help="Switch on: act_1, or all"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        token = sys.stdin.readline().strip()
        if not token:
            raise CommandError(
                "No token on standard input. Try: connect --client NAME --token-stdin < token.txt"
            )
        owner = (
            Membership.objects.filter(role=Role.OWNER, user__is_active=True).select_related("user").first()
        )
        if owner is None:
            raise CommandError("This installation has no owner yet. Open it in a browser once to set it up.")
        principal, moment = access.principal_of(owner.user), now()
        try:
            client = clients.named(name=options["client"], principal=principal)
            made = connections.establish(client=client, principal=principal, token=token, now=moment)
            for account in made.ad_accounts:
                if {"all", account.act_id, account.meta_id} & set(options["enable"]):
                    ad_accounts.enable(ad_account=account, principal=principal, now=moment)
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        self._tell(made)

    def _tell(self, made: Established) -> None:
        row = made.connection
        self.stdout.write(f"Connected {row.meta_user_name or row.meta_user_id} to {row.client}: {row.state}.")
        self.stdout.write(f"Permissions: {', '.join(row.scopes)}.")
        for account in made.ad_accounts:
            word = "on" if account.enabled else "off"
            self.stdout.write(f"  {account.act_id}  {account.name}  {account.currency}  {word}")
        for act_id in made.foreign:
            self.stdout.write(f"  {act_id}  belongs to another client: left alone")
