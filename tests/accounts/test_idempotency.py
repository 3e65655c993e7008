"""The same `Idempotency-Key` twice moves once."""

import pytest
from django.contrib.sessions.backends.db import SessionStore
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts.api.base import TenantAPIView
from accounts.errors import Conflict
from accounts.idempotency import idempotent, sweep
from accounts.models import IdempotencyRecord


class Counter(TenantAPIView):
    calls: list = []
    inside = None

    @idempotent
    def post(self, request):
        self.calls.append(request.data)
        if self.inside:
            self.inside()
        return Response(
            {"number": len(self.calls)}, status=202, headers={"Location": f"/x/{len(self.calls)}"}
        )


@pytest.fixture
def post(agency, clock):
    Counter.calls = []

    def post(body=None, key="k1", user="bob", inside=None):
        headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
        request = APIRequestFactory().post("/api/count", body or {"a": 1}, format="json", **headers)
        request.session = SessionStore()  # what the middleware brings
        force_authenticate(request, getattr(agency.users, user))
        answer = Counter.as_view(inside=inside)(request)
        if hasattr(answer, "render") and not answer.is_rendered:
            answer.render()
        return answer

    return post


def test_the_second_gets_the_first_ones_answer_and_nothing_moves(post):
    first, second = post(), post()
    assert len(Counter.calls) == 1
    assert (
        (second.status_code, second.content) == (first.status_code, first.content) == (202, b'{"number":1}')
    )
    assert second.headers["Location"] == "/x/1"
    assert second.headers["Idempotency-Replayed"] == "true"


def test_without_a_key_and_with_another_key_or_person_it_moves_again(post):
    post(key=""), post(key=""), post(key="k2"), post(key="k2", user="alice")
    assert len(Counter.calls) == 4


def test_the_same_key_for_another_request_is_refused(post):
    post()
    answer = post(body={"a": 2})
    assert answer.status_code == 422
    assert answer.data["code"] == "idempotency_key_reused"
    assert len(Counter.calls) == 1


def test_while_the_first_is_at_work_the_second_waits(post):
    answers = []

    def at_work():
        if len(Counter.calls) == 1:
            answers.append(post())

    post(inside=at_work)
    assert answers[0].status_code == 409
    assert answers[0].data["code"] == "idempotency_in_progress"
    assert answers[0].headers["Retry-After"] == "1"
    assert len(Counter.calls) == 1


def test_a_refusal_forgets_the_key_so_that_it_can_be_mended(post):
    def refuse():
        raise Conflict("not now")

    assert post(inside=refuse).status_code == 409
    assert post().status_code == 202
    assert len(Counter.calls) == 2


def test_a_first_request_that_died_with_its_process_blocks_for_two_minutes_only(post, clock):
    post()
    IdempotencyRecord.objects.update(status=None)
    assert post().status_code == 409
    clock.advance(180)
    assert post().status_code == 202


def test_after_a_day_the_key_is_new_again(post, clock):
    post()
    clock.advance(86_401)
    assert sweep(now=clock.now()) == 1
    post()
    assert len(Counter.calls) == 2


def test_an_absurd_key_is_refused(post):
    assert post(key="x" * 201).status_code == 400
