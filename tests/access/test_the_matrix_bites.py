"""The matrix itself: with one view of the installation broken on purpose, its cell fails and names it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import override_settings
from django.urls import URLPattern, clear_url_caches, path

from accounts.models import Client
from campaigns.models import Change
from config.urls import urlpatterns
from tests.access import test_caching, test_markers, test_matrix
from tests.access.matrix import ROUTES, Route
from tests.access.people import PRINCIPALS, Who

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F108")]

View = Callable[..., HttpResponse]


@contextmanager
def with_addresses(*first: URLPattern) -> Iterator[None]:
    """The installation with these addresses before its own."""
    module = ModuleType("broken_on_purpose")
    vars(module)["urlpatterns"] = [*first, *urlpatterns]
    sys.modules[module.__name__] = module
    try:
        with override_settings(ROOT_URLCONF=module.__name__):
            clear_url_caches()
            yield
    finally:
        del sys.modules[module.__name__]
        clear_url_caches()


def cell(estate: Any, name: str, method: str, who: str) -> None:
    test_matrix.cell(estate, route(name), method, principal(who))


def route(name: str) -> Route:
    return next(one for one in ROUTES if str(one) == name)


def principal(name: str) -> Who:
    return next(who for who in PRINCIPALS if who.name == name)


def one_change(request: HttpRequest, uuid: Any) -> HttpResponse:
    """Forgets whose row it is."""
    if not request.user.is_authenticated:
        return JsonResponse({}, status=401)
    change = Change.everything.filter(uuid=uuid).first()
    if change is None:
        return JsonResponse({"detail": "There is no such change."}, status=404)
    return JsonResponse({"id": str(change.uuid), "name": change.object_name})


def another_refusal(request: HttpRequest, uuid: Any) -> HttpResponse:
    """Says of a foreign row that it is there."""
    there = Change.everything.filter(uuid=uuid).exists()
    return JsonResponse({"detail": "Not yours." if there else "There is no such change."}, status=404)


def approves_for_anybody(request: HttpRequest, uuid: Any) -> HttpResponse:
    """Forgets the role."""
    Change.everything.filter(uuid=uuid).update(state="APPROVED")
    return JsonResponse({"state": "APPROVED"})


def refuses_too_late(request: HttpRequest, uuid: Any) -> HttpResponse:
    """Writes, and asks for the role then."""
    Change.everything.filter(uuid=uuid).update(reason="touched")
    return JsonResponse({}, status=403)


def everybodys_changes(request: HttpRequest) -> HttpResponse:
    """A list without a scope."""
    rows = Change.everything.values_list("object_name", flat=True)
    return JsonResponse(
        {"results": list(rows), "clients": list(Client.objects.values_list("name", flat=True))}
    )


def kept(request: HttpRequest) -> HttpResponse:
    return HttpResponse("one person's page", headers={"Cache-Control": "public, max-age=600"})


ONE, APPROVE = "api/changes/<uuid:uuid>", "api/changes/<uuid:uuid>/approve"


@pytest.mark.parametrize(
    ("pattern", "name", "view", "method", "who"),
    [
        (ONE, "api_change", one_change, "get", "other-manager"),
        (ONE, "api_change", one_change, "get", "acting-there"),
        (ONE, "api_change", one_change, "get", "no-second-factor"),
        (ONE, "api_change", another_refusal, "get", "other-viewer"),
        (APPROVE, "api_change_approve", approves_for_anybody, "post", "viewer"),
        (APPROVE, "api_change_approve", approves_for_anybody, "post", "other-manager"),
        (APPROVE, "api_change_approve", approves_for_anybody, "post", "acting-here"),
        (APPROVE, "api_change_approve", refuses_too_late, "post", "viewer"),
    ],
)
def test_a_view_that_forgets_to_ask_is_caught(estate, pattern, name, view, method, who):
    cell(estate, name, method, who)  # as it is built
    broken = csrf_free(view)
    with with_addresses(path(pattern, broken, name=name)), pytest.raises(AssertionError):
        cell(estate, name, method, who)


def csrf_free(view: View) -> View:
    from django.views.decorators.csrf import csrf_exempt

    free: View = csrf_exempt(view)
    return free


def test_an_address_that_nobody_declared_is_caught():
    test_matrix.test_every_address_is_declared()
    one_more = path("api/forgotten", kept, name="api_forgotten")
    with with_addresses(one_more), pytest.raises(AssertionError, match="api/forgotten"):
        test_matrix.test_every_address_is_declared()


def test_a_list_without_a_scope_is_caught_by_its_marker(estate):
    ask = test_markers.test_no_address_shows_northwind_anything_of_southwinds
    ask(estate, "/api/changes", "buyer")
    unscoped = path("api/changes", everybodys_changes, name="api_changes")
    with with_addresses(unscoped), pytest.raises(AssertionError):
        ask(estate, "/api/changes", "buyer")


@pytest.mark.fault("F111")
def test_an_answer_that_may_be_kept_is_caught(estate):
    public = path("api/metrics", kept, name="api_metrics")
    with with_addresses(public), pytest.raises(AssertionError, match="api_metrics as buyer"):
        test_caching.test_every_answer_forbids_being_kept(estate)


def test_the_broken_addresses_are_gone_again(estate):
    answer = estate.call("other-manager", "get", f"/api/changes/{estate.ids['change']}")
    assert answer.status == 404
