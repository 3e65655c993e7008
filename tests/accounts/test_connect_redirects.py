"""Addresses: the one that is entered in the Meta app's settings, and those that nobody may send a person to."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser

from accounts import connections
from accounts.models import MetaConnection
from tests.accounts.test_connect import Dance
from tests.conftest import PASSWORD

OURS, API = "/auth/meta/callback", "/api/meta-oauth/callback"


@pytest.mark.parametrize("path", [OURS, API])
@pytest.mark.parametrize("public", ["http://localhost:3000", "https://ads.example.com"])
def test_the_redirect_uri_is_public_url_and_path_and_the_whole_dance_works_there(
    agency, sandbox, settings, public, path
):
    settings.PUBLIC_URL = public
    settings.META = {**settings.META, "redirect_path": path}
    host = urlsplit(public)
    settings.ALLOWED_HOSTS = [host.hostname]
    assert connections.redirect_uri() == f"{public}{path}"
    dance = Dance(sandbox, agency.users.alice)
    dance.web.defaults |= {"SERVER_NAME": host.hostname, "wsgi.url_scheme": host.scheme}
    page = dance.web.get("/connections/").content.decode()
    assert f'id="redirect-uri">{public}{path}</code>' in page
    confirm = dance.to_confirm()
    assert dance.asked["redirect_uri"] == f"{public}{path}"
    assert dance.back.startswith(f"{public}{path}?")
    assert dance.web.post(confirm).headers["Location"] == "/c/northwind/"
    assert MetaConnection.everything.count() == 1


def test_a_redirect_uri_that_meta_does_not_know_is_shown_for_pasting(agency, sandbox, settings):
    dance = Dance(sandbox, agency.users.alice)
    dance.start()
    dance.decide()
    settings.PUBLIC_URL = "https://moved.example.com"
    answer = dance.land()
    assert answer.status_code == 400
    assert "https://moved.example.com/auth/meta/callback" in answer.content.decode()


# --- nobody is sent away from here

HOSTS = ("evil.example", "testserver.evil.example")
LEADS = ("//", "///", "////", "https://", "http://", "\\\\", "/\\", "\\/", "/\\/", "//\\")
PAYLOADS = (
    *(f"{lead}{host}" for lead in LEADS for host in HOSTS),
    "https:evil.example", "https:/evil.example", "https:///evil.example", "http:evil.example", "hTTps://evil.example",
    "//testserver@evil.example", "https://testserver@evil.example", "https://testserver:80@evil.example",
    "https://testserver.@evil.example", "//evil.example/c/northwind/", "//evil.example#testserver",
    "//evil.example?testserver", "https://evil.example\\@testserver", "//evil。example", "//xn--evil-9na.example",
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)",
    "\x01javascript:alert(1)", " javascript:alert(1)", "javascript://testserver/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "file:///etc/passwd", "ftp://evil.example",
    "blob:https://evil.example/1", "mailto:a@evil.example", "//[::1]/", "http://[::1]/", "http://2130706433/",
    "http://0x7f.1/", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", "\n//evil.example",
    " //evil.example", "/%09/evil.example", "/%0a/evil.example", "/%5cevil.example/..", ".evil.example",
    "//evil.example%00.testserver", "@evil.example", ":80@evil.example", "//google.com/%2f..", "/..//evil.example",
    "/.//evil.example", "https://testserver%2eevil.example", "https://testserver%00.evil.example",
    "//%65vil.example", "///\\;@evil.example",
)  # fmt: skip


def test_there_are_sixty_payloads_and_more():
    assert len(set(PAYLOADS)) >= 60


def stays(location):
    """Whether a browser that is at http://testserver/ stays there (it drops tabs and line ends, reads \\ as /)."""
    text = "".join(c for c in location.strip("".join(map(chr, range(33)))) if c not in "\t\r\n").replace(
        "\\", "/"
    )
    parts = urlsplit(text)
    if parts.scheme:
        return parts.scheme in ("http", "https") and text.startswith(
            ("http://testserver/", "http://localhost:3000/")
        )
    return not text.startswith("//")


def test_the_judge_of_this_test_knows_what_leaves():
    for away in (
        "//evil.example",
        "/\\evil.example",
        "\t//evil.example",
        "javascript:x",
        "https:evil.example",
        "/\t/e.x",
    ):
        assert not stays(away)
    for here in (
        "/",
        "/c/northwind/",
        "",
        "?next=x",
        "http://testserver/c/",
        "/connections/?next=//evil.example",
    ):
        assert stays(here)


def leads_away(answer):
    found = answer.headers.get("Location", "")
    if found.startswith("https://www.facebook.com/v26.0/dialog/oauth?"):
        # Meta's dialog is meant; it comes back to the one address that is registered there.
        asked = parse_qs(urlsplit(found).query)
        return asked["redirect_uri"] != [connections.redirect_uri()]
    return not stays(found)


@pytest.fixture
def doors(agency, sandbox):
    """Every address that takes a place to go on to: name -> a request with that place."""
    mail = {"login": "alice@example.com", "password": PASSWORD}

    web = Browser()

    def inside():
        """One browser for all payloads of a door; it signs in again where the door has signed it out."""
        if "_auth_user_id" not in web.session:
            web.force_login(agency.users.alice)
        return web

    names = ("next", "redirect_to", "return_to", "url")
    return {
        "sign in, by address": lambda to: Browser().post("/accounts/login/", mail, query_params={"next": to}),
        "sign in, by field": lambda to: Browser().post("/accounts/login/", {**mail, "next": to}),
        "sign in, signed in": lambda to: inside().get("/accounts/login/", {"next": to}),
        "sign out": lambda to: inside().post("/accounts/logout/", {"next": to}),
        "sign out, by address": lambda to: inside().post("/accounts/logout/", query_params={"next": to}),
        "connect": lambda to: inside().post(
            "/connections/connect", {"client": "northwind"} | dict.fromkeys(names, to)
        ),
        "connect, by address": lambda to: inside().post(
            "/connections/connect", {"client": "northwind"}, query_params=dict.fromkeys(names, to)
        ),
        "callback": lambda to: inside().get(OURS, {"state": to, "code": to, "next": to}),
        "api callback": lambda to: inside().get(API, {"state": to, "code": to, "next": to}),
        "sign in with Facebook": lambda to: Browser().post("/accounts/facebook/login/", {"next": to}),
        "sign in with Facebook, by address": lambda to: Browser().post(
            "/accounts/facebook/login/", query_params={"next": to, "process": "connect"}
        ),
        "two factors": lambda to: inside().get("/accounts/2fa/", {"next": to}),
        "reauthenticate": lambda to: inside().post(
            "/accounts/reauthenticate/", {"password": PASSWORD, "next": to}, query_params={"next": to}
        ),
        "password": lambda to: inside().post("/accounts/password/change/", {"next": to}),
        "admin": lambda to: Browser().post(
            "/admin/login/", {"username": "alice@example.com", "password": PASSWORD, "next": to}
        ),
        "admin, by address": lambda to: inside().get("/admin/login/", {"next": to}),
        "admin sign out": lambda to: inside().post("/admin/logout/", {"next": to}),
        "invitation": lambda to: inside().get("/invitations/x/", {"next": to}),
        "act as": lambda to: inside().post("/acting/start", {"client": "northwind", "next": to}),
        "act as no more": lambda to: inside().post("/acting/stop", {"next": to}),
        "home": lambda to: inside().get("/", {"next": to}),
        "a page signed out": lambda to: Browser().get("/connections/", {"next": to}),
    }


DOORS = (
    "sign in, by address", "sign in, by field", "sign in, signed in", "sign out", "sign out, by address", "connect",
    "connect, by address", "callback", "api callback", "sign in with Facebook", "sign in with Facebook, by address",
    "two factors", "reauthenticate", "password", "admin", "admin, by address", "admin sign out", "invitation",
    "act as", "act as no more", "home", "a page signed out",
)  # fmt: skip


@pytest.mark.fault("F83")
@pytest.mark.parametrize("door", DOORS)
def test_no_parameter_leads_away(doors, door, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ACCOUNT_RATE_LIMITS = False
    assert set(doors) == set(DOORS)
    away = []
    for payload in PAYLOADS:
        answer = doors[door](payload)
        assert answer.status_code < 500, payload
        if leads_away(answer):
            away.append((payload, answer.headers["Location"]))
    assert away == []


def test_a_place_of_our_own_is_still_gone_to(agency):
    web = Browser()
    answer = web.post(
        "/accounts/login/",
        {"login": "alice@example.com", "password": PASSWORD, "next": "/connections/?client=northwind"},
    )
    assert answer.headers["Location"] == "/connections/?client=northwind"
