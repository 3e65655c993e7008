"""How often an ad account is looked at: read, set, stopped and started."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import accounts.ad_accounts as ad_accounts
import insights.poll as poll
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, KEY, WRITE_ERRORS
from accounts.errors import Invalid
from accounts.idempotency import idempotent
from accounts.models import AdAccount
from insights.progress import standing
from insights.trust import STOPPED_ALL
from metaads.clock import now


class PollingAsked(serializers.Serializer[Any]):
    looks = serializers.ChoiceField(["start", "stop"], required=False)
    poll_seconds = serializers.IntegerField(
        required=False,
        allow_null=True,
        help_text=f"{ad_accounts.LEAST_SECONDS} to {ad_accounts.MOST_SECONDS}; null: as the installation does.",
    )


class PollingShape(serializers.Serializer[Any]):
    account_id = serializers.CharField()
    looks = serializers.ChoiceField(["running", "stopped", "off"])
    poll_seconds = serializers.IntegerField(help_text="What counts: its own, or the installation's.")
    own_seconds = serializers.IntegerField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    data_moved_at = serializers.DateTimeField(allow_null=True, help_text="When Meta's numbers last moved.")
    next_check_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(
        allow_blank=True, help_text="Why there is no fresh answer, if there is none."
    )


class Polling(TenantAPIView):
    @extend_schema(summary="Polling of an account", responses={200: PollingShape, **ERRORS})
    def get(self, request: Request, account_id: str) -> Response:
        """How often Meta is asked about the account at best, and when it was and will be."""
        return Response(_shape(self.ad_account(account_id)))

    @extend_schema(
        summary="Start, stop or pace polling",
        parameters=[KEY],
        request=PollingAsked,
        responses={200: PollingShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, account_id: str) -> Response:
        """A stopped account stays connected; its running numbers grow stale and say so."""
        account, at = self.ad_account(account_id, "connect"), now()
        body = PollingAsked(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        if not asked:
            advice = "Name looks (start or stop), poll_seconds, or both."
            raise Invalid("Nothing was asked for.", advice=advice, errors=[("looks", advice)])
        if "poll_seconds" in asked:
            ad_accounts.look_every(
                asked["poll_seconds"], ad_account=account, principal=self.principal, now=at
            )
            account.refresh_from_db(fields=["poll_seconds"])
        if "looks" in asked:
            change = poll.start if asked["looks"] == "start" else poll.stop
            change(ad_account=account, principal=self.principal, now=at)
        return Response(_shape(account))


def _shape(account: AdAccount) -> dict[str, Any]:
    state = standing(account)
    stopped = not settings.POLLING or (state is not None and state.stopped)
    looks = "off" if not account.enabled else "stopped" if stopped else "running"
    return {
        "account_id": account.act_id,
        "looks": looks,
        "poll_seconds": account.poll_seconds or settings.POLL_SECONDS,
        "own_seconds": account.poll_seconds,
        "checked_at": state.checked_at if state else None,
        "data_moved_at": state.data_as_of if state else None,
        "next_check_at": state.next_check_at if state and looks == "running" else None,
        "reason": STOPPED_ALL if not settings.POLLING else state.reason if state else "",
    }
