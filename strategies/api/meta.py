"""The brief's two paths: an account's strategies with the latest drafts, and carrying one out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from kombu.exceptions import OperationalError
from rest_framework.request import Request
from rest_framework.response import Response

import accounts.access as access
import strategies.cycle as cycle
import strategies.drafts as drafts
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, KEY, WRITE_ERRORS
from accounts.errors import Conflict, Invalid, NotFound, Unavailable
from accounts.idempotency import idempotent
from accounts.models import AdAccount
from metaads.clock import now
from strategies.api.answers import (
    change_ref,
    decision_json,
    draft_json,
    judgement_json,
    proposal_json,
    strategy_json,
    would_be_json,
)
from strategies.api.base import body, text
from strategies.api.shapes import Execute, Executed, StrategiesOfAccount
from strategies.models import Draft, Strategy, StrategyStatus
from strategies.tasks import generate_drafts


class Strategies(TenantAPIView):
    @extend_schema(
        summary="Generate optimization strategies",
        parameters=[OpenApiParameter("refresh", bool, description="1 starts a job that makes new drafts.")],
        responses={200: StrategiesOfAccount, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> Response:
        """Saved strategies and the latest drafts, at once; new drafts are made by a job, never by this request."""
        account = self.ad_account(account_id)
        refresh = request.query_params.get("refresh", "") in ("1", "true")
        if refresh:
            access.require(self.principal, "run_strategy", account.client_id)
            _start(account)
        saved = drafts.list_(self.principal, ad_account=account)
        return Response(
            {
                "strategies": [strategy_json(row) for row in saved],
                "drafts": [draft_json(row) for row in drafts.latest(ad_account=account)],
                "refreshing": refresh,
            }
        )


class ExecuteStrategy(TenantAPIView):
    @extend_schema(
        summary="Execute optimization strategy",
        parameters=[KEY],
        request=Execute,
        responses={202: Executed, 200: Executed, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Evaluate a strategy (or a draft, which is saved first) now, never beyond its stage: changes wait for a
        person. With `dryRun` nothing is written, and the answer is 200."""
        data = body(request)
        dry = data.get("dryRun", False)
        if not isinstance(dry, bool):
            raise Invalid("dryRun must be true or false.", errors=[("dryRun", "must be true or false")])
        account = self.ad_account(text(data, "accountId"), verb="run_strategy")
        strategy, draft = self._which(data, account, dry)
        if not dry and strategy.status != StrategyStatus.ACTIVE:
            raise Conflict(
                f"The strategy is {strategy.status}.", advice="Set it active, or ask for a dry run."
            )
        outcome = cycle.run(strategy=strategy, now=now(), dry_run=dry)
        answer = _executed(outcome, strategy, draft, dry)
        if dry:
            return Response(answer)
        return Response(answer, status=202, headers={"Location": f"/api/strategies/{strategy.uuid}"})

    def _which(self, data: Mapping[str, Any], account: AdAccount, dry: bool) -> tuple[Strategy, Draft | None]:
        if ("strategyId" in data) == ("draftId" in data):
            raise Invalid(
                "Say either strategyId or draftId.", errors=[("strategyId", "or draftId is needed")]
            )
        if "strategyId" in data:
            strategy = drafts.get(self.principal, text(data, "strategyId"), verb="run_strategy")
            if strategy.ad_account_id != account.pk:
                raise NotFound("This ad account has no such strategy.")
            return strategy, None
        draft = drafts.draft(self.principal, text(data, "draftId"), verb="run_strategy")
        if draft.ad_account_id != account.pk:
            raise NotFound("This ad account has no such draft.")
        if dry:
            return drafts.unsaved(ad_account=account, data=drafts.draft_data(draft), now=now()), draft
        return drafts.save_draft(draft=draft, principal=self.principal, now=now()), draft


def _start(account: AdAccount) -> None:
    try:
        transaction.on_commit(partial(generate_drafts.delay, account.pk))
    except OperationalError:
        raise Unavailable("The queue does not answer, so no new drafts are made now.") from None


def _executed(outcome: cycle.Outcome, strategy: Strategy, draft: Draft | None, dry: bool) -> dict[str, Any]:
    snapshot = outcome.snapshot
    if dry:
        decisions = [judgement_json(judgement, snapshot, strategy) for judgement in outcome.judgements]
        proposals = [
            would_be_json(intent, judgement, snapshot, strategy)
            for judgement in outcome.judgements
            for intent in judgement.intents
        ]
    else:
        decisions = [decision_json(row) for row in outcome.decisions]
        proposals = [proposal_json(row) for row in outcome.proposals]
    changes = [ref for row in outcome.proposals if (ref := change_ref(row))]
    return {
        "accountId": strategy.ad_account.act_id,
        "strategyId": str(strategy.uuid) if strategy.pk else None,
        "draftId": str(draft.uuid) if draft else None,
        "dryRun": dry,
        "stage": strategy.stage,
        "skipped": outcome.skipped,
        "decisions": decisions,
        "proposals": proposals,
        "changes": changes,
    }
