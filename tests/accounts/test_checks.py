"""Settings about mail that would reach nobody, or show the mail server's password to the network, are named."""

from __future__ import annotations

from typing import Any

import environ
import pytest

from accounts.checks import mails
from tests.production_environment import environment


def ids(settings: Any, url: str) -> list[str]:
    settings.ENV = {**settings.ENV, "EMAIL_URL": url}
    return [str(one.id) for one in mails(None)]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("smtp+tls://user:secret@mail.example.com:587", []),
        ("smtp+ssl://user:secret@mail.example.com:465", []),
        ("smtp://127.0.0.1:1025", []),
        ("smtp://relay.internal:25", []),
        ("smtp://user:secret@mail.example.com:25", ["accounts.E008"]),
        ("smtp://user:secret@mail.example.com:587/?tls=true", ["accounts.E007"]),
        ("https://mail.example.com", ["accounts.E006"]),
    ],
)
def test_a_mail_address_that_cannot_work_or_would_tell_the_password_is_refused(
    settings: Any, url: str, found: list[str]
) -> None:
    assert ids(settings, url) == found
    assert not any("secret" in f"{one.msg} {one.hint}" for one in mails(None))


def test_in_production_somebody_should_know_that_mails_reach_nobody(settings: Any) -> None:
    assert ids(settings, "") == []
    settings.PRODUCTION = True
    assert ids(settings, "") == ["accounts.W002"]


def test_silence_of_no_hours_is_refused(settings: Any) -> None:
    settings.SILENCE_HOURS = 0
    assert ids(settings, "") == ["accounts.E005"]


@pytest.mark.parametrize(
    "url", ["smtp+tls://user:secret@mail.example.com:587", environment()["EMAIL_URL"]], ids=["tls", "ours"]
)
def test_the_documented_address_is_encrypted(url: str) -> None:
    found = environ.Env.email_url_config(url)
    assert found["EMAIL_USE_TLS"] is True and found["EMAIL_HOST"] == "mail.example.com"


def test_no_talk_with_a_mail_server_is_endless(settings: Any) -> None:
    assert 0 < settings.EMAIL_TIMEOUT <= 10
