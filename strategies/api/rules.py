"""`/api/rules`: the language of rules as a JSON Schema, and what a document means before it is saved."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import strategies.documents as documents
import strategies.drafts as drafts
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, WRITE_ERRORS
from strategies.api.answers import checked_json, export_json, templates_json
from strategies.api.base import body, text
from strategies.api.shapes import CheckedRules, ExportedRules, RulesToCheck, TemplateList, TemplateToFill
from strategies.engine.language import schema


class RulesSchema(TenantAPIView):
    @extend_schema(summary="The JSON Schema of rule documents", responses={200: dict, **ERRORS})
    def get(self, request: Request) -> Response:
        """What the schema refuses is refused; units and what fits together are checked on top, each with its path."""
        return Response(schema())


class CheckRules(TenantAPIView):
    @extend_schema(
        summary="Check rules without saving them",
        request=RulesToCheck,
        responses={200: CheckedRules, **WRITE_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """The document as it was understood, with its sentences, or every mistake with its path. Nothing is written."""
        data = body(request)
        account = self.ad_account(text(data, "accountId"))
        return Response(checked_json(documents.check(data.get("document"), ad_account=account)))


class ExportRules(TenantAPIView):
    @extend_schema(summary="Export a strategy's rules", responses={200: ExportedRules, **ERRORS})
    def get(self, request: Request, uuid: Any) -> Response:
        """Name and document, of the brief's types too; send them to `POST /api/strategies` with another account."""
        return Response(export_json(drafts.get(self.principal, str(uuid))))


_ACCOUNT = OpenApiParameter(
    "account", str, required=True, description="The ad account that defaults are from."
)


class RuleTemplates(TenantAPIView):
    @extend_schema(
        summary="Named strategies to start from",
        parameters=[_ACCOUNT],
        responses={200: TemplateList, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """Each with what it rests on, what it risks, when not to use it, and its parameters with this account's
        defaults. A default of null has to be given."""
        account = self.ad_account(text(request.query_params, "account"))
        return Response(templates_json(documents.ground(account), currency=account.currency))

    @extend_schema(
        summary="Fill in a template",
        request=TemplateToFill,
        responses={200: CheckedRules, **WRITE_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """The document that the template comes to, with its sentences; save it as any other. Nothing is written."""
        data = body(request)
        account = self.ad_account(text(data, "accountId"))
        given = data.get("parameters", {})
        return Response(
            checked_json(documents.from_template(text(data, "template"), given, ad_account=account))
        )
