"""Every page of the sign-in library that people can reach stands in our frame and speaks our words."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client as Browser

import accounts.outbox as outbox
from accounts.redaction import redact
from metaads.clock import now
from tests.conftest import PASSWORD

#: address -> (who opens it, its heading). "proved": bob, who has just proved who he is; "locked": with an app set up.
PAGES = {
    "/accounts/login/": ("nobody", "Sign in"),
    "/accounts/signup/": ("nobody", "People come in by invitation"),
    "/accounts/password/reset/": ("nobody", "Forgotten your password?"),
    "/accounts/password/reset/done/": ("nobody", "Look into your mail"),
    "/accounts/password/reset/key/1-no-such-key/": ("nobody", "This link is used up"),
    "/accounts/password/reset/key/done/": ("nobody", "Your password is changed"),
    "/accounts/inactive/": ("nobody", "This sign-in is switched off"),
    "/accounts/3rdparty/login/cancelled/": ("nobody", "You said no at Facebook"),
    "/accounts/3rdparty/login/error/": ("nobody", "Facebook did not sign you in"),
    "/accounts/confirm-email/": ("nobody", "There is nothing to confirm"),
    "/accounts/confirm-email/no-such-key/": ("nobody", "There is nothing to confirm"),
    "/accounts/logout/": ("bob", "Sign out?"),
    "/accounts/password/change/": ("bob", "Change password"),
    "/accounts/email/": ("bob", "Your e-mail address"),
    "/accounts/sessions/": ("bob", "Where you are signed in"),
    "/accounts/3rdparty/": ("bob", "Signing in with Facebook"),
    "/accounts/reauthenticate/": ("bob", "Is it you?"),
    "/accounts/2fa/": ("bob", "Two-factor sign-in"),
    "/accounts/2fa/totp/activate/": ("proved", "Set up an authenticator app"),
    "/accounts/2fa/webauthn/add/": ("proved", "Add a passkey or security key"),
    "/accounts/2fa/webauthn/": ("proved", "Passkeys and security keys"),
    "/accounts/2fa/totp/deactivate/": ("locked", "Switch the authenticator app off?"),
    "/accounts/2fa/recovery-codes/": ("locked", "Recovery codes"),
    "/accounts/2fa/recovery-codes/generate/": ("locked", "Make new recovery codes?"),
    "/accounts/2fa/reauthenticate/": ("locked", "Is it you?"),
    "/accounts/2fa/authenticate/": ("half", "Your second step"),
}
#: What the library itself says there; none of it may be left.
ITS_OWN = (
    "Menu:",
    "Successfully signed",
    "Bad Token",
    "Confirm Access",
    "Third-Party",
    "Alternative options",
    "example.com!",
)


def visitor(who: str, agency) -> Browser:
    browser = Browser()
    if who in ("locked", "half"):
        TOTP.activate(agency.users.bob, generate_totp_secret())
        RecoveryCodes.activate(agency.users.bob)
    if who in ("half", "bob"):
        browser.post("/accounts/login/", {"login": "bob@example.com", "password": PASSWORD})
    elif who != "nobody":
        browser.force_login(agency.users.bob)
    if who in ("proved", "locked"):
        assert browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return browser


@pytest.mark.parametrize("path", PAGES)
def test_it_stands_in_our_frame(agency, path):
    who, heading = PAGES[path]
    answer = visitor(who, agency).get(path, follow=True)
    assert answer.status_code == (401 if "login/error" in path else 200), answer.redirect_chain
    page = answer.content.decode()
    assert re.findall(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL) == [heading]
    assert 'class="brand"' in page and "accounts/tokens.css" in page and "accounts/session.js" in page
    assert not [words for words in ITS_OWN if words in page]
    assert " style=" not in page and not re.search(r"<script(?![^>]*(src|application/json))", page)
    assert re.search(r"<title>[^<]+ · metaads</title>", page)


def test_every_page_of_the_library_without_an_id_is_looked_at():
    from tests.access.matrix import patterns

    closed = {
        "/accounts/login/code/confirm/": "nobody signs in by a mailed code",
        "/accounts/password/set/": "leads to the change of the password for whoever has one",
        "/accounts/facebook/login/": "leads to Facebook",
        "/accounts/2fa/webauthn/reauthenticate/": "needs a key of hardware",
        "/accounts/2fa/webauthn/login/": "answers the script of the sign-in page",
        "/accounts/2fa/recovery-codes/download/": "a text file",
        "/accounts/3rdparty/signup/": "leads to the sign-in: nobody signs up",
    }
    paths = {f"/{path}" for path, _ in patterns() if path.startswith("accounts/")}
    reachable = {path for path in paths if not any(sign in path for sign in "<(^")}
    assert reachable - set(PAGES) - set(closed) == set()


def test_the_link_to_a_new_password_leads_to_our_own_address_whatever_the_visitor_s_host_is(
    agency, mailoutbox, settings
):
    Browser().post("/accounts/password/reset/", {"email": "bob@example.com"}, headers={"Host": "localhost"})
    outbox.deliver(now=now())
    [mail] = mailoutbox
    assert mail.subject == "Choose a new password for metaads"
    assert mail.to == ["bob@example.com"]
    link = re.search(r"http\S+", mail.body)[0]
    assert link.startswith(f"{settings.PUBLIC_URL}/accounts/password/reset/key/")
    assert Browser().get(link.removeprefix(settings.PUBLIC_URL), follow=True).status_code == 200


def test_the_link_of_a_forgotten_password_is_no_line_of_a_log():
    link = "/accounts/password/reset/key/1-d4x7qk-0f3b2a9c8e7d6f5a4b3c2d1e0f9a8b7c/"
    assert redact(f"Internal Server Error: {link}") == (
        "Internal Server Error: /accounts/password/reset/key/[redacted]/"
    )
    assert "0f3b2a" not in redact(f"?next={link.replace('/', '%2F')}")


def test_a_mail_server_that_is_away_loses_no_new_password_and_fails_no_page(agency, settings, mailoutbox):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    for email in ("bob@example.com", "eve@example.com"):
        answer = Browser().post("/accounts/password/reset/", {"email": email})
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/reset/done/")
    moment = now()
    assert outbox.deliver(now=moment) == 0
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    outbox.deliver(now=moment + timedelta(minutes=2))
    assert sorted(mail.to[0] for mail in mailoutbox) == ["bob@example.com", "eve@example.com"]


def test_whoever_has_no_sign_in_is_told_so_by_mail_and_nowhere_else(agency, mailoutbox):
    Browser().post("/accounts/password/reset/", {"email": "eve@example.com"})
    outbox.deliver(now=now())
    [mail] = mailoutbox
    assert mail.subject == "Nobody signs in at metaads with this address"
    assert "eve@example.com" in mail.body and "signup" not in mail.body


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_nobody_changes_the_address_that_signs_in(agency, method):
    from allauth.account.models import EmailAddress

    bob = Browser()
    bob.force_login(agency.users.bob)
    token = (
        Browser()
        .post(
            "/_allauth/app/v1/auth/login",
            {"email": "bob@example.com", "password": PASSWORD},
            content_type="application/json",
        )
        .json()["meta"]["access_token"]
    )
    before = set(EmailAddress.objects.values_list("email", flat=True))
    if method != "get":
        assert (
            getattr(bob, method)(
                "/accounts/email/", {"email": "eve@example.com", "action_add": ""}
            ).status_code
            == 405
        )
    answer = getattr(Browser(), method)(
        "/_allauth/app/v1/account/email",
        {"email": "eve@example.com"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 403
    assert set(EmailAddress.objects.values_list("email", flat=True)) == before
    agency.users.bob.refresh_from_db()
    assert agency.users.bob.email == "bob@example.com"
