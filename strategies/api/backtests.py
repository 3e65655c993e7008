"""`/api/strategies/{id}/backtests`: what a strategy would have done; runs are jobs."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import strategies.backtests as backtests
import strategies.drafts as drafts
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, KEY, WRITE_ERRORS
from accounts.idempotency import idempotent
from metaads.clock import now
from strategies.api.answers import backtest_json
from strategies.api.base import PAGE, body, page
from strategies.api.shapes import Backtest, BacktestList, BacktestWish
from strategies.tasks import run_backtest


class Backtests(TenantAPIView):
    @extend_schema(
        operation_id="strategies_backtests_list",
        summary="Back-tests of a strategy",
        parameters=PAGE,
        responses={200: BacktestList, **ERRORS},
    )
    def get(self, request: Request, uuid: Any) -> Response:
        """Newest first, without their results."""
        strategy = drafts.get(self.principal, str(uuid))
        rows = backtests.list_(self.principal, strategy=strategy).defer("result", "document")
        return Response(page(request, rows, lambda row: backtest_json(row, whole=False), "backtests"))

    @extend_schema(
        summary="Back-test a strategy",
        parameters=[KEY],
        request=BacktestWish,
        responses={202: Backtest, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: Any) -> Response:
        """Starts a job that judges each instant on what was known then. Nothing is changed at Meta. One at a time."""
        strategy = drafts.get(self.principal, str(uuid), verb="run_strategy")
        moment = now()
        wish = backtests.read_wish(body(request), ad_account=strategy.ad_account, now=moment)
        row = backtests.request(strategy=strategy, principal=self.principal, wish=wish, now=moment)
        # Robust: without a broker it waits for the next round (`backtests_due`).
        transaction.on_commit(partial(run_backtest.delay, row.pk), robust=True)
        return Response(
            backtest_json(row, whole=False), status=202, headers={"Location": f"/api/backtests/{row.uuid}"}
        )


class OneBacktest(TenantAPIView):
    @extend_schema(summary="One back-test", responses={200: Backtest, **ERRORS})
    def get(self, request: Request, uuid: Any) -> Response:
        """Its progress, and when it is done its result."""
        return Response(backtest_json(backtests.get(self.principal, str(uuid))))
