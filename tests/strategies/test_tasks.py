"""What starts an evaluation, and that one strategy's trouble stops nobody else's."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection

from strategies import tasks
from strategies.models import Draft, Proposal, Strategy
from tests.strategies.conftest import FIGURES, plant

pytestmark = pytest.mark.django_db


def test_the_quarter_hour_round_evaluates_what_is_due_once(shop, strategy):
    tasks.evaluate_due()
    assert Proposal.objects.of(shop.northwind).count() == 2
    evaluated = Strategy.objects.of(shop.northwind).get().last_evaluated_at
    shop.clock.advance(60)
    tasks.evaluate_due()
    assert Strategy.objects.of(shop.northwind).get().last_evaluated_at == evaluated
    shop.clock.advance(15 * 60)
    tasks.evaluate_due()
    assert Strategy.objects.of(shop.northwind).get().last_evaluated_at > evaluated
    assert Proposal.objects.of(shop.northwind).count() == 2


def test_new_figures_evaluate_the_account_and_make_drafts_now_and_then(shop, strategy):
    tasks.evaluate_account(shop.ad_account.pk)
    assert Proposal.objects.of(shop.northwind).count() == 2
    assert Draft.objects.of(shop.northwind).count() == 3
    tasks.evaluate_account(shop.ad_account.pk)
    assert Draft.objects.of(shop.northwind).count() == 3
    shop.clock.advance(7 * 3600)
    tasks.evaluate_account(shop.ad_account.pk)
    assert Draft.objects.of(shop.northwind).filter(current=True).count() == 3


def test_arrived_figures_put_the_accounts_evaluation_on_the_queue(
    shop, strategy, django_capture_on_commit_callbacks
):
    from celery import current_app

    sent = []
    from celery.signals import before_task_publish

    def note(sender=None, body=None, **_):
        sent.append((sender, body[0]))

    before_task_publish.connect(note)
    try:
        shop.clock.advance(60)
        with django_capture_on_commit_callbacks(execute=True):
            plant(shop, {**FIGURES, "22": ("12.00", 2000, 7)})
    finally:
        before_task_publish.disconnect(note)
    assert ("strategies.tasks.evaluate_account", (shop.ad_account.pk,)) in sent
    assert "strategies.tasks.evaluate_due" in current_app.tasks


def test_a_strategy_that_cannot_be_evaluated_keeps_no_other_from_it(shop, strategy, caplog):
    from strategies.drafts import create

    create(
        principal=shop.principals.bob,
        ad_account=shop.ad_account,
        data={"name": "Z", "type": "performance_optimization", "rules": {"minCtr": "3"}, "actions": {}},
        now=shop.clock.now(),
    )

    failed = []

    def broken(execute, sql, params, many, context):
        if sql.startswith("INSERT") and "strategies_decision" in sql and not failed:
            failed.append(sql)
            raise OperationalError("the disk is full")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(broken):
        tasks.evaluate_due()
    assert "could not be evaluated" in caplog.text
    assert {row.strategy.name for row in Proposal.objects.of(shop.northwind)} == {"Z"}


def test_a_disabled_account_gets_no_drafts(shop):
    shop.ad_account.enabled_at = None
    shop.ad_account.save()
    tasks.generate_drafts(shop.ad_account.pk)
    tasks.generate_drafts(987654)
    assert not Draft.objects.of(shop.northwind).exists()
