"""Connections that nothing was heard of for ten minutes are asked about when a process starts and when a person
signs in; never in the way of either."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from celery.signals import before_task_publish
from django.test import Client as Browser

from accounts.models import ConnectionState, MetaConnection
from tests.conftest import PASSWORD

NAME = "accounts.tasks.recheck"


@pytest.fixture
def queued() -> Iterator[list[tuple[str, Any]]]:
    """What was put on the queue: task and arguments."""
    sent: list[tuple[str, Any]] = []

    def note(sender: str = "", body: Any = None, **_: Any) -> None:
        sent.append((sender, body[0]))

    before_task_publish.connect(note)
    yield sent
    before_task_publish.disconnect(note)


def sign_in(name: str) -> int:
    return (
        Browser().post("/accounts/login/", {"login": f"{name}@example.com", "password": PASSWORD}).status_code
    )


def work_off(queued: list[tuple[str, Any]]) -> None:
    for name, args in queued:
        if name == NAME:
            current_app.tasks[name](*args)


def checked_at(agency: Any) -> Any:
    return MetaConnection.objects.of(agency.northwind).get().checked_at


@pytest.mark.parametrize("name, theirs", [("alice", True), ("bob", True), ("vic", True), ("charlie", False)])
def test_a_sign_in_asks_about_the_person_s_own_clients_only(
    connected, clock, queued, django_capture_on_commit_callbacks, name, theirs
):
    before = checked_at(connected)
    clock.advance(601)
    with django_capture_on_commit_callbacks(execute=True):
        assert sign_in(name) == 302
    assert checked_at(connected) == before  # nobody waited for it
    work_off(queued)
    assert (checked_at(connected) > before) is theirs


def test_what_was_heard_of_lately_is_left_alone(connected, clock, queued, django_capture_on_commit_callbacks):
    before = checked_at(connected)
    clock.advance(599)
    with django_capture_on_commit_callbacks(execute=True):
        sign_in("bob")
    work_off(queued)
    assert checked_at(connected) == before


def test_a_token_that_died_over_night_is_known_after_the_sign_in(
    connected, sandbox, clock, queued, django_capture_on_commit_callbacks
):
    from metaads import gateway
    from metaads.graph import oauth

    oauth.revoke(gateway.transport(), MetaConnection.objects.of(connected.northwind).get().token)
    clock.advance(10 * 3600)
    with django_capture_on_commit_callbacks(execute=True):
        sign_in("bob")
    work_off(queued)
    assert MetaConnection.objects.of(connected.northwind).get().state == ConnectionState.REAUTH_NEEDED


def test_a_refused_sign_in_asks_nothing(connected, clock, queued, django_capture_on_commit_callbacks):
    clock.advance(601)
    with django_capture_on_commit_callbacks(execute=True):
        Browser().post("/accounts/login/", {"login": "bob@example.com", "password": "x" * 12})
    assert NAME not in [name for name, _ in queued]


def test_a_token_s_sign_in_asks_as_well(connected, clock, queued, django_capture_on_commit_callbacks):
    from tests.accounts.test_session_limits import tokens

    with django_capture_on_commit_callbacks(execute=True):
        tokens("bob")
    assert (NAME, ([connected.northwind.pk],)) in queued


def test_the_start_of_a_process_asks_about_all(connected, clock, queued):
    from config.engine import doubt_connections

    before = checked_at(connected)
    clock.advance(601)
    doubt_connections()
    assert (NAME, ()) in queued
    work_off(queued)
    assert checked_at(connected) > before
