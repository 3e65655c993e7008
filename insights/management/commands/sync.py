"""Fetch structure and insights of one ad account now: `manage.py sync --ad-account act_1 --days 28 --json`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError

import campaigns.sync as structure
import insights.fetch as fetch
import insights.windows as windows
from accounts.errors import Refused
from accounts.models import AdAccount
from insights.errors import TooFarBack
from insights.models import DayRow, FetchRun, HourRow
from insights.progress import Progress
from metaads.clock import monotonic, now
from metaads.models import QuotaScope


class Command(BaseCommand):
    #: Ours and those of the models; not the URLconf's, which load every page of the product (13 MB).
    requires_system_checks = ("accounts", "metaads", Tags.models)
    help = "Fetch structure and insights of one ad account now; exits 0 only if all of it was read. Run again to go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ad-account", required=True, help="act_1, or just the number")
        parser.add_argument("--days", type=int, default=28, help="days back, today among them (default 28)")
        parser.add_argument("--json", action="store_true", help="print one line of JSON instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        account = _account(options["ad_account"])
        _reachable(account, days)
        began, calls = monotonic(), _calls(account)
        quiet = options["json"]

        def tell(at: Progress) -> None:
            if not quiet:
                self.stdout.write(at.sentence)

        try:
            tree = structure.run(ad_account=account, now=now())
        except Refused as no:
            raise CommandError(str(no)) from None
        account.refresh_from_db()
        run = fetch.first_sync(ad_account=account, days=days, now=now(), progress=tell, kind="manual")
        complete = run.state == "done" and tree.state == "complete"
        result = {
            "ad_account": account.act_id,
            "complete": complete,
            "structure": tree.state,
            "insights": run.state,
            "days": days,
            "rows": run.rows,
            "stored": {
                "day_rows": DayRow.objects.of(account).count(),
                "hour_rows": HourRow.objects.of(account).count(),
            },
            "requests": _calls(account) - calls,
            "seconds": round(monotonic() - began, 3),
            "sentence": _sentence(run, f"{tree.error_text} {tree.advice}".strip()),
        }
        if quiet:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write(
                f"{account.act_id}: {result['rows']:,} rows, {result['requests']} requests, {result['seconds']} s."
            )
        if not complete:
            raise CommandError(f"Not complete. {result['sentence']} Run the same command again to go on.")


def _account(ref: str) -> AdAccount:
    account = AdAccount.everything.filter(meta_id=ref.removeprefix("act_")).select_related("client").first()
    if account is None:
        known = ", ".join(f"act_{one}" for one in AdAccount.everything.values_list("meta_id", flat=True)[:20])
        raise CommandError(
            f"There is no ad account {ref}. " + (f"There are: {known}." if known else "Connect one first.")
        )
    return account


def _reachable(account: AdAccount, days: int) -> None:
    today = windows.today(now(), account.timezone_name)
    try:
        if days < 1:
            raise CommandError("--days takes 1 or more.")
        windows.reachable(days=days, today=today)
    except TooFarBack as no:
        raise CommandError(f"--days takes 1 to {(today - no.first).days + 1}. {no}") from None


def _calls(account: AdAccount) -> int:
    """Every attempt at Meta for this account so far, retries included."""
    return QuotaScope.objects.filter(pk=account.act_id).values_list("calls", flat=True).first() or 0


def _sentence(run: FetchRun, structure_error: str) -> str:
    return " ".join(filter(None, (structure_error, run.sentence)))
