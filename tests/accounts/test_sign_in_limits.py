"""Guessing is slow, per account and per address, and nothing tells which accounts exist."""

from __future__ import annotations

import re
from typing import ClassVar

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.test import Client as Browser

import accounts.outbox as outbox
from metaads.clock import now
from tests.conftest import PASSWORD

KNOWN, UNKNOWN = "bob@example.com", "bib@example.com"
API = "/_allauth/app/v1/auth/login"


@pytest.fixture(autouse=True)
def as_shipped(settings, agency):
    """The limits of the product (they are off in other tests), from zero."""
    settings.ACCOUNT_RATE_LIMITS = {}
    cache.clear()
    yield
    cache.clear()


def by_page(email: str, password: str = "x" * 12, address: str = "10.0.0.1"):
    return Browser().post("/accounts/login/", {"login": email, "password": password}, REMOTE_ADDR=address)


def by_api(email: str, password: str = "x" * 12, address: str = "10.0.0.1"):
    return Browser().post(
        API, {"email": email, "password": password}, content_type="application/json", REMOTE_ADDR=address
    )


def blank(answer) -> str:
    """The page without what differs each time, or is what the visitor typed."""
    text = answer.content.decode()
    text = re.sub(r'(name="csrfmiddlewaretoken" value|name="csrf" content|nonce)="[^"]*"', "", text)
    return text.replace(KNOWN, "EMAIL").replace(UNKNOWN, "EMAIL")


@pytest.mark.parametrize("door", [by_page, by_api])
def test_known_and_unknown_accounts_are_answered_alike_before_and_after_the_limit(door):
    said = {}
    for email in (KNOWN, UNKNOWN):
        cache.clear()
        said[email] = [(one.status_code, blank(one)) for one in (door(email) for _ in range(9))]
    assert said[KNOWN] == said[UNKNOWN]
    first, last = said[KNOWN][0], said[KNOWN][-1]
    assert first[1] != last[1] and "Too many" in last[1]


@pytest.mark.parametrize("door", [by_page, by_api])
def test_the_right_password_is_not_taken_while_an_account_is_throttled(door):
    for number in range(5):
        door(KNOWN, address=f"10.0.1.{number}")
    answer = door(KNOWN, PASSWORD, address="10.0.2.1")
    assert "session" not in answer.cookies
    assert b"access_token" not in answer.content
    assert answer.status_code in (200, 400, 429)
    # ... and another account is not held up by it
    assert door("vera@example.com", PASSWORD, address="10.0.2.2").status_code in (200, 302)


@pytest.mark.parametrize("door", [by_page, by_api])
def test_one_address_may_not_try_many_accounts(door):
    for number in range(10):
        door(f"person{number}@example.com")
    answer = door("vera@example.com", PASSWORD)
    assert b"Too many" in answer.content or answer.status_code == 429
    assert "session" not in answer.cookies


def test_page_and_api_count_together():
    for number in range(3):
        by_page(KNOWN, address=f"10.0.3.{number}")
    for number in range(2):
        by_api(KNOWN, address=f"10.0.4.{number}")
    assert "Too many" in by_page(KNOWN, PASSWORD, address="10.0.5.1").content.decode()


def test_a_caller_does_not_choose_its_address(settings):
    assert settings.ALLAUTH_TRUSTED_PROXY_COUNT == 0
    for number in range(12):
        answer = Browser().post(
            "/accounts/login/",
            {"login": f"person{number}@example.com", "password": "x" * 12},
            REMOTE_ADDR="10.0.0.9",
            headers={"X-Forwarded-For": f"192.0.2.{number}"},
        )
    assert "Too many" in answer.content.decode()


def test_capitals_and_spaces_are_no_way_round_the_limit():
    for number, email in enumerate((KNOWN, "BOB@example.com", "Bob@Example.com", " bob@example.com ", KNOWN)):
        by_page(email, address=f"10.0.6.{number}")
    assert "Too many" in by_page(KNOWN, PASSWORD, address="10.0.7.1").content.decode()


def test_the_limit_is_over_after_five_minutes(time_machine):
    time_machine.move_to(1_790_000_000)
    for number in range(5):
        by_page(KNOWN, address=f"10.0.8.{number}")
    assert by_page(KNOWN, PASSWORD, address="10.0.9.1").status_code == 200
    time_machine.shift(301)
    assert by_page(KNOWN, PASSWORD, address="10.0.9.1").status_code == 302


def reset(email: str, address: str = "10.0.0.1"):
    return Browser().post("/accounts/password/reset/", {"email": email}, REMOTE_ADDR=address)


def test_a_forgotten_password_is_answered_alike_whether_the_account_exists_or_not(mailoutbox):
    said = {}
    for email in (KNOWN, UNKNOWN):
        cache.clear()
        said[email] = [
            (one.status_code, one.headers.get("Location"), blank(one))
            for one in (reset(email) for _ in range(7))
        ]
    assert said[KNOWN] == said[UNKNOWN]
    assert said[KNOWN][0][:2] == (302, "/accounts/password/reset/done/")
    assert said[KNOWN][-1][0] == 429
    outbox.deliver(now=now())
    # Both cost a mail, so that the time of the answer tells nothing either; only one of them has a link.
    assert [("/password/reset/key/" in mail.body) for mail in mailoutbox].count(True) == len(mailoutbox) // 2


def test_a_person_who_was_switched_off_is_not_told_apart_without_the_password(agency):
    agency.users.bob.is_active = False
    agency.users.bob.save()
    assert blank(by_page(KNOWN)) == blank(by_page(UNKNOWN, address="10.1.0.1"))


class Counting(MD5PasswordHasher):
    """The hasher of these tests, which counts its work."""

    done: ClassVar[list[int]] = []

    def encode(self, password: str, salt: str) -> str:
        self.done.append(1)
        return super().encode(password, salt)


def test_the_password_is_hashed_once_for_an_unknown_account_too(settings):
    """The work is the same, so the time is: counted, because a clock in a test would be a coin."""
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    Counting.done.clear()
    by_page(KNOWN)
    assert len(Counting.done) == 1
    by_page(UNKNOWN, address="10.1.0.2")
    assert len(Counting.done) == 2
