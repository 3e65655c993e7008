"""Every page of the sign-in at phone and desk width, light and dark; the second step and the passkey for real."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings

from tests.accounts.test_sign_in_pages import PAGES, visitor
from tests.browser.conftest import sign_in

pytestmark = pytest.mark.chromium
FOLDER = Path(settings.BASE_DIR) / "var" / "screenshots"


def cookies(browser: Any, base: str) -> list[dict[str, str]]:
    return [
        {"name": name, "value": one.value, "url": base} for name, one in browser.cookies.items() if one.value
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_is_quiet(
    browser: Any, live_app: str, agency: Any, settings: Any, scheme: str
) -> None:
    settings.FACEBOOK_SIGN_IN = True
    FOLDER.mkdir(parents=True, exist_ok=True)
    troubles: list[str] = []
    for width in (390, 1440):
        for path, (who, heading) in PAGES.items():
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            Authenticator.objects.all().delete()
            context.add_cookies(cookies(visitor(who, agency), live_app))
            page = context.new_page()
            page.on(
                "console",
                lambda said, path=path: (
                    troubles.append(f"{path}: {said.text}") if said.type in ("error", "warning") else None
                ),
            )
            page.on("pageerror", lambda error, path=path: troubles.append(f"{path}: {error}"))
            page.goto(live_app + path)
            page.get_by_role("heading", name=heading, level=1).wait_for()
            name = path.strip("/").replace("/", "-").replace("accounts-", "auth-")
            page.screenshot(path=FOLDER / f"{name}-{width}-{scheme}.png", full_page=True)
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if wide > 0:
                troubles.append(f"{path} at {width}: {wide} px too wide")
            context.close()
    assert [one for one in troubles if "401 (Unauthorized)" not in one and "404" not in one] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_warning_is_a_thing_to_look_at(
    browser: Any, live_app: str, connected: Any, clock: Any, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.clock.install()
    page = context.new_page()
    sign_in(page, live_app, "bob")
    clock.advance(28 * 60 + 2)
    context.clock.fast_forward((28 * 60 + 2) * 1000)
    page.locator("#session-warning").wait_for()
    page.screenshot(path=FOLDER / f"session-warning-{width}-{scheme}.png")
    box = page.locator("#session-warning").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    clock.advance(3 * 60)
    context.clock.fast_forward(3 * 60 * 1000)
    page.wait_for_url(re.compile("ended=idle"))
    page.screenshot(path=FOLDER / f"session-ended-{width}-{scheme}.png")
    context.close()


def test_a_passkey_is_added_in_the_browser_and_signs_in(browser: Any, live_app: str, agency: Any) -> None:
    base = live_app.replace("127.0.0.1", "localhost")  # an address made of numbers has no passkeys
    context = browser.new_context()
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    options |= {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_in(page, base, "bob")
    page.goto(f"{base}/accounts/2fa/webauthn/add/")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("heading", name="Add a passkey").wait_for()
    page.get_by_label("Name").fill("Bob's laptop")
    page.get_by_label("Let it sign me in without a password").check()
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Your passkey or key is added.").wait_for()
    page.goto(f"{base}/accounts/2fa/webauthn/")
    page.get_by_text("Bob's laptop").wait_for()
    page.screenshot(path=FOLDER / "auth-2fa-webauthn-one-1280-light.png")
    page.get_by_label(re.compile("Your menu")).click()
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    page.wait_for_url(re.compile("/accounts/login/"))
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(re.compile(r"/c/northwind/"))
    context.close()
