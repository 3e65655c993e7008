"""A page's own write: session, CSRF token and Idempotency-Key together, as a browser sends them."""

from __future__ import annotations

from django.test import Client as Browser

from tests.conftest import PASSWORD


def test_a_session_write_with_csrf_and_idempotency_key_is_taken_once(connected):
    vera = Browser(enforce_csrf_checks=True)
    assert vera.login(email="vera@example.com", password=PASSWORD)
    assert vera.get("/alerts/").status_code == 200
    send = {
        "path": "/api/stop",
        "data": {"scope": "client", "client": "northwind", "reason": "Wrong prices"},
        "content_type": "application/json",
    }
    assert vera.post(**send).status_code == 403  # no token
    headers = {"X-CSRFToken": vera.cookies["csrf"].value, "Idempotency-Key": "one"}
    first, second = vera.post(**send, headers=headers), vera.post(**send, headers=headers)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
