"""Take over an old agent's config file, once."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

import accounts.access as access
import accounts.agent_config as agent_config
from accounts.agent_config import Outcome, Plan
from accounts.errors import Refused
from accounts.models import Membership, Role
from accounts.tenancy import Principal
from metaads.clock import now

SHAPE = """
Takes over the tokens and ad accounts of an old agent's config file, once. Each token is verified with Meta and stored
encrypted, as `connect` does. The file is JSON:

    {"app_id": "123456789012345",          must be META_APP_ID, if it is there
     "app_secret": "…",                    never stored; set META_APP_SECRET
     "client": "northwind",                name, slug or UUID; else --client
     "access_token": "…",                  for ad accounts without one of their own
     "poll_seconds": 60,                   optional, 30 or more
     "accounts": [
       {"ad_account_id": "act_1", "access_token": "…", "client": "…", "enabled": true, "poll_seconds": 60}
     ]}

One ad account may stand alone, without "accounts". camelCase (adAccountId, accessToken) and the names of the
environment (META_APP_ID) are understood too. Every other key is named with its line, and nothing is done for it. The
same file again does nothing; another file needs --again. No token is ever printed. Delete the file afterwards:
nothing reads it any more.
"""


class Command(BaseCommand):
    help = SHAPE

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="The config file (JSON)")
        parser.add_argument("--client", default="", help="For ad accounts that name no client")
        parser.add_argument("--dry-run", action="store_true", help="Verify every token, store nothing")
        parser.add_argument("--again", action="store_true", help="Yes, although a file was taken over before")

    def handle(self, *args: Any, **options: Any) -> None:
        principal, moment = _owner(), now()
        try:
            plan = agent_config.read(_text(options["file"]), client=options["client"])
            before = agent_config.allow(plan, principal=principal, again=options["again"])
            if before is not None:
                self.stdout.write(
                    f"This file was taken over on {before.at:%d %b %Y %H:%M} UTC. Nothing to do."
                )
                self._delete(options["file"])
                return
            outcomes = agent_config.take_over(
                plan, principal=principal, now=moment, store=not options["dry_run"]
            )
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        self._tell(plan, outcomes, dry=options["dry_run"])
        left = [outcome for outcome in outcomes if not outcome.done]
        if left:
            raise CommandError(
                f"{len(left)} of {len(outcomes)} ad accounts were not taken over. Mend the cause and run the same"
                " command again: what is done stays done."
            )
        if not options["dry_run"]:
            self._delete(options["file"])

    def _tell(self, plan: Plan, outcomes: tuple[Outcome, ...], *, dry: bool) -> None:
        for outcome in outcomes:
            act_id = f"act_{outcome.entry.meta_id}"
            if outcome.done:
                word = "verified" if dry else "on" if outcome.entry.enabled else "off"
                self.stdout.write(f"  {act_id}  {outcome.name}  {word}")
            else:
                self.stdout.write(f"  {act_id}  left out: {outcome.trouble}")
        for note in plan.notes:
            self.stdout.write(str(note))

    def _delete(self, file: Path) -> None:
        self.stdout.write(
            f"Delete {file} now, and its copies: it holds tokens, and nothing reads it any more."
        )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not a text in UTF-8.") from None


def _owner() -> Principal:
    rows = Membership.objects.filter(role=Role.OWNER, user__is_active=True).select_related("user")
    owner = rows.order_by("pk").first()
    if owner is None:
        raise CommandError("This installation has no owner yet. Open it in a browser once to set it up.")
    return access.principal_of(owner.user)
