"""What Django reports of a crash says where, and shows nobody's values."""

from __future__ import annotations

import sys

import pytest
from django.test import RequestFactory
from django.views.debug import get_exception_reporter_class

from accounts.reports import HIDDEN, Report

pytestmark = pytest.mark.fault("F91")

# Made up here, since a report quotes the lines of its files.
TOKEN = "EAAS" + 3 * "OfSomebody"
CODE = "AQ" + 3 * "AuthorisationCode"


def crashed(error: Exception) -> None:
    row = {"plain words": TOKEN}
    raise error from ValueError(f"access_token={TOKEN} {len(row)}")


@pytest.fixture
def report(rf: RequestFactory) -> Report:
    request = rf.post(f"/invitations/{CODE}/?code={CODE}&state={CODE}", {"token": TOKEN, "name": "Alice"})
    request.COOKIES["session"] = TOKEN
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    request.META["HTTP_REFERER"] = f"https://facebook.com/?code={CODE}"
    try:
        crashed(RuntimeError(f"Meta said access_token={TOKEN}"))
    except RuntimeError:
        made = get_exception_reporter_class(request)(request, *sys.exc_info())
    assert isinstance(made, Report), "it is the installation's own"
    return made


@pytest.mark.parametrize("form", ["html", "text"])
def test_it_names_the_place_and_hides_every_value(report: Report, form: str, settings) -> None:
    text = report.get_traceback_html() if form == "html" else report.get_traceback_text()
    for secret in (TOKEN, CODE, settings.SECRET_KEY, settings.FERNET_KEYS[0], settings.META["app_secret"]):
        assert secret not in text
    for part in ("RuntimeError", "crashed", "test_reports.py", HIDDEN, "Meta said"):
        assert part in text
    assert "sandbox-verify" not in text


def test_a_crash_without_a_request_is_reported_as_well() -> None:
    try:
        crashed(RuntimeError("in a task"))
    except RuntimeError:
        text = Report(None, *sys.exc_info()).get_traceback_text()
    assert "in a task" in text and TOKEN not in text


def test_the_page_of_a_view_that_crashes_under_debug_is_this_report(client, settings, monkeypatch) -> None:
    settings.DEBUG = True
    client.raise_request_exception = False
    monkeypatch.setitem(
        settings.META, "verify_token", object()
    )  # what no setting can be: the handshake falls over
    answer = client.get(f"/webhooks/meta/?hub.mode=subscribe&hub.verify_token={CODE}&code={CODE}")
    assert answer.status_code == 500
    page = answer.content.decode()
    assert "AttributeError" in page and CODE not in page
