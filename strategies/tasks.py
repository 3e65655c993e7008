"""Work of this floor that Celery starts (config.celery has the schedule). Each is safe to run twice."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from datetime import datetime

from celery import shared_task

import strategies.backtests as backtests
import strategies.cycle as cycle
import strategies.drafts as drafts
import strategies.erasure as erasure
import strategies.proposals as proposals
from accounts.leases import take
from accounts.models import AdAccount
from metaads.clock import now
from strategies.models import Strategy

log = logging.getLogger(__name__)
#: Drafts are made anew at most this often by themselves, in seconds; a person may ask at any time.
DRAFTS_EVERY = 6 * 3600.0


@shared_task
def evaluate_due() -> None:
    """Evaluate what was not evaluated for a quarter of an hour; close proposals that nobody decided about."""
    moment = now()
    proposals.expire_due(now=moment)
    _evaluate(cycle.due(now=moment), moment)


@shared_task
def evaluate_account(ad_account_id: int) -> None:
    """New figures arrived: evaluate the account's strategies, and look for new drafts now and then."""
    moment = now()
    _evaluate(cycle.of_account(ad_account_id=ad_account_id), moment)
    name, holder = f"drafts:{ad_account_id}", uuid.uuid4().hex
    if take(name=name, holder=holder, seconds=DRAFTS_EVERY, now=moment) is not None:
        generate_drafts(ad_account_id)


@shared_task
def generate_drafts(ad_account_id: int) -> None:
    """Make the account's drafts anew from its last seven full days."""
    ad_account = AdAccount.everything.select_related("client").filter(pk=ad_account_id).first()
    if ad_account is not None and ad_account.enabled:
        drafts.regenerate(ad_account=ad_account, now=now())


@shared_task
def run_backtest(backtest_id: int) -> None:
    """Run one back-test, unless somebody else is at it."""
    backtests.run(backtest_id=backtest_id, clock=now)


@shared_task
def backtests_due() -> None:
    """Take up the back-test that waits longest, or was cut off."""
    waiting = backtests.waiting()
    if waiting is not None:
        backtests.run(backtest_id=waiting, clock=now)


def _evaluate(strategies: Iterable[Strategy], moment: datetime) -> None:
    for strategy in strategies:
        try:
            cycle.run(strategy=strategy, now=moment)
        except Exception:  # one strategy's trouble must not keep the others from being judged
            log.exception("strategy %s could not be evaluated", strategy.uuid)


@shared_task
def erase() -> None:
    """Do this floor's part of what Meta users asked to have deleted."""
    erasure.sweep(now=now())
