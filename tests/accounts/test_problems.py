"""Whatever goes wrong in an API view is answered as one problem document."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from accounts.api.base import TenantAPIView
from accounts.api.renderers import encode
from accounts.errors import Conflict, Invalid, TooMany
from metaads.graph.errors import Answer, Kind, error_for
from metaads.quota import Blocked
from tests.conftest import START

FIELDS = {"type", "title", "status", "detail", "code", "advice", "errors", "instance", "request_id"}


class Money(serializers.Serializer):
    amount = serializers.DecimalField(max_digits=12, decimal_places=2)
    rows = serializers.ListField(child=serializers.IntegerField(), required=False)


class Broken(TenantAPIView):
    authentication_classes = []
    permission_classes = []
    error: Exception | None = None

    def post(self, request):
        if self.error:
            raise self.error
        body = Money(data=request.data)
        body.is_valid(raise_exception=True)
        return Response({**body.validated_data, "given": request.data})


def ask(error=None, body=b'{"amount": 1}', content_type="application/json", method="post"):
    request = getattr(APIRequestFactory(), method)("/api/x", body, content_type=content_type)
    request.request_id = "request-1"
    answer = Broken.as_view(error=error)(request)
    answer.render()
    return answer


@pytest.mark.parametrize(
    "error, status, code",
    [
        (Invalid("no"), 400, "invalid"),
        (Conflict("late", code="moved"), 409, "moved"),
        (TooMany("slow", retry_after=7.4), 429, "too_many"),
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
        (ValidationError({"name": ["too long"]}), 400, "invalid"),
        (exceptions.Throttled(wait=3), 429, "throttled"),
        (exceptions.NotAuthenticated(), 403, "not_authenticated"),
        (error_for(Answer(Kind.THROTTLED, retry_after=60.0, message="calm")), 429, "meta_throttled"),
        (error_for(Answer(Kind.AUTH, message="dead")), 409, "reconnect_needed"),
        (error_for(Answer(Kind.UNKNOWN)), 502, "meta_refused"),
        (error_for(Answer(Kind.TRANSIENT, message="later")), 503, "meta_unavailable"),
        (Blocked(until=START + timedelta(seconds=90), reason="Full."), 429, "meta_throttled"),
        (SuspiciousOperation("x"), 400, "unreadable"),
        (RuntimeError("the password is hunter2"), 500, "internal"),
    ],
)
def test_every_exception_becomes_a_problem(clock, error, status, code):
    answer = ask(error)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert set(body) == FIELDS
    assert (body["status"], body["code"]) == (status, code)
    assert (body["instance"], body["request_id"]) == ("/api/x", "request-1")
    assert "hunter2" not in answer.content.decode()
    if status == 429:
        assert 1 <= int(answer.headers["Retry-After"]) <= 90


def test_fields_that_must_be_mended_are_named():
    body = json.loads(ask(body=b'{"rows": [1, "x"]}').content)
    assert {(e["field"], e["code"]) for e in body["errors"]} == {
        ("amount", "required"),
        ("rows.1", "invalid"),
    }


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"amount": NaN}', b'{"amount": 1} x', b""])
def test_a_body_that_is_no_json_is_a_400(body):
    answer = ask(body=body)
    assert answer.status_code == 400
    assert set(json.loads(answer.content)) == FIELDS


def test_an_unsupported_media_type_and_method_are_problems_too():
    assert ask(content_type="text/xml").status_code == 415
    assert ask(method="put").status_code == 405


def test_numbers_pass_in_and_out_digit_by_digit():
    answer = ask(body=b'{"amount": 1234567890.10, "x": 0.1000000000000000055}')
    assert b'"amount":1234567890.10' in answer.content
    assert b'"x":0.1000000000000000055' in answer.content


def test_an_amount_is_rendered_as_a_number_with_all_its_digits():
    assert (
        encode({"a": Decimal("12.50"), "b": Decimal("99999999999.999999")})
        == b'{"a":12.50,"b":99999999999.999999}'
    )


def test_a_body_beyond_the_limit_is_413_and_not_read_to_its_end(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = ask(body=b'{"amount": ' + b"1" * 100 + b"}")
    assert (answer.status_code, json.loads(answer.content)["code"]) == (413, "too_large")
    assert ask(body=b'{"amount": 1}').status_code == 200


def test_a_deeply_nested_body_is_a_400():
    answer = ask(body=b"[" * 100_000)
    assert answer.status_code == 400
