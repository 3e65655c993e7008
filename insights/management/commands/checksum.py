"""Compare the sums that are kept with the rows that they are sums of: `manage.py checksum [--ad-account act_1]`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import AdAccount
from insights.models import DataVersion
from insights.store.rollups import checksum


class Command(BaseCommand):
    help = "Compare kept sums with the rows they are sums of, per ad account; exits 0 only if all of them are equal."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ad-account", help="act_1, or just the number; without it all of them")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = AdAccount.everything.order_by("meta_id")
        if options["ad_account"]:
            accounts = accounts.filter(meta_id=options["ad_account"].removeprefix("act_"))
            if not accounts:
                raise CommandError(f"There is no ad account {options['ad_account']}.")
        broken = []
        for account in accounts:
            with transaction.atomic():
                # Whoever stores waits: rows and sums are of one moment.
                DataVersion.everything.select_for_update().filter(ad_account_id=account.pk).first()
                differ = {table: count for table, count in checksum(account_id=account.pk).items() if count}
            words = ", ".join(f"{table}: {count} rows differ" for table, count in differ.items())
            self.stdout.write(f"{account.act_id}  {words or 'equal'}")
            if differ:
                broken.append(account.act_id)
        if broken:
            raise CommandError(
                f"Sums of {', '.join(broken)} differ from their rows, so pages and rules may show wrong numbers. "
                "Stop automation for them (`manage.py stop`) and restore the database from a backup, or report it "
                "with this output; rows themselves are read again by `manage.py sync`."
            )
