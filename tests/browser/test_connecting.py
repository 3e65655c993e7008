"""Connecting in a real Chromium, through the dialog of a sandbox that is asked over HTTP: success, and each failure.

One server for all: each step leaves the product as the next one expects it.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from accounts.models import (
    AdAccount,
    ConnectLink,
    GrantedAsset,
    Membership,
    MetaConnection,
    OutboxMessage,
    PendingGrant,
    Role,
)
from metaads.sandbox.app import Sandbox, serve
from tests.browser.conftest import sign_in

pytestmark = [pytest.mark.chromium, pytest.mark.fault("F82"), pytest.mark.fault("F85")]
WIDTHS, SCHEMES = (390, 1440), ("light", "dark")


@pytest.fixture
def box(clock, settings):
    """A sandbox behind a port of its own, on the test's clock."""
    sandbox = Sandbox(world="demo", seed=7, clock=clock)
    server = serve(sandbox, port=0, silence=0.1)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    sandbox.url = f"http://127.0.0.1:{server.server_address[1]}"
    settings.META = {**settings.META, "graph_url": sandbox.url, "dialog_url": sandbox.url}
    yield sandbox
    server.shutdown()
    server.server_close()
    thread.join(10)


class Walk:
    """One person's browser: where it is, what it pressed, and a picture of each place."""

    def __init__(self, page, base: str) -> None:
        self.page, self.base = page, base
        self.troubles: list[str] = []
        page.on("console", lambda said: self._note(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self._note(str(error)))

    def _note(self, text: str) -> None:
        # A refusal is answered with its own status, which Chromium mentions.
        if "Failed to load resource: the server responded with a status of" not in text:
            self.troubles.append(f"{self.page.url}: {text}")

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)

    def press(self, name: str, *, within: str = "main", exact: bool = False) -> None:
        self.page.locator(within).get_by_role("button", name=name, exact=exact).first.click()

    def at_meta(
        self, *, user: str = "Alice Agency", without: tuple[str, ...] = (), press: str = "Continue"
    ) -> None:
        self.page.wait_for_url("**/dialog/oauth**")
        self.page.get_by_label(user).check()
        for scope in without:
            self.page.locator(f'input[name="grant_{scope}"]').uncheck()
        self.page.get_by_role("button", name=press).click()
        self.page.wait_for_url(lambda url: url.startswith(self.base))

    def at(self, pattern: str) -> None:
        """Wait for an address; what the page says instead belongs into the failure."""
        try:
            self.page.wait_for_url(pattern, timeout=20_000)
        except PlaywrightError:
            raise AssertionError(f"{self.page.url}: {self.page.inner_text('main')[:500]}") from None

    def failed(self, code: str, words: str) -> None:
        expect(self.page.locator(f'[data-code="{code}"]')).to_contain_text(words, timeout=20_000)

    def look(self, name: str) -> None:
        folder = Path(django_settings.BASE_DIR) / "var" / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            wide = self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            if wide > 0:
                self.troubles.append(f"{name} at {width}: {wide} px too wide")
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                self.page.screenshot(path=folder / f"connecting-{name}-{width}-{scheme}.png", full_page=True)
        self.page.emulate_media(color_scheme="light")


def forget() -> None:
    """No connection, no ad account: the state of the first visit."""
    PendingGrant.everything.all().delete()
    GrantedAsset.everything.all().delete()
    AdAccount.everything.all().delete()
    MetaConnection.everything.all().delete()


def test_connecting_and_every_way_it_fails(page, browser, agency, box, clock, live_app, settings):
    policy = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {**policy, "form-action": ["'self'", box.url]}}
    walk = Walk(page, live_app)
    page.on("dialog", lambda dialog: dialog.accept())
    sign_in(page, live_app, "alice")
    _failures(walk, box, clock)
    _success(walk, box)
    _second_user(walk)
    _looking_after(walk)
    _claimed(walk, agency, box)
    _pasted(walk, box)
    _guest(walk, browser)
    _what_changed_meanwhile(walk, agency)
    assert walk.troubles == []


def _failures(walk: Walk, box, clock) -> None:
    page = walk.page
    walk.go("/c/northwind/")
    walk.look("first-visit")
    walk.press("Connect Meta account")
    walk.at_meta(press="Cancel")
    walk.failed("connect_denied", "Permission was not given at Meta.")
    walk.look("denied")
    walk.press("Try again")
    walk.at("**auth_type=rerequest**")

    walk.go("/connections/?client=northwind")  # the dialog is left open, and the person comes back without it
    expect(page.locator("#unfinished")).to_contain_text("You began to connect a Meta account for Northwind")
    walk.look("dialog-closed")
    walk.press("Go on at Facebook")
    walk.at_meta(user="Charlie Outside")
    walk.failed("connect_no_ad_accounts", "This Meta user has no ad account.")
    walk.look("no-ad-accounts")

    walk.press("Try again")
    walk.at_meta(without=("ads_read", "ads_management"))
    walk.failed("connect_scope_declined", "The permission to read ads was not given.")
    walk.look("scope-declined")

    for path, fault in (("oauth/access_token", "html"), ("debug_token", "transient")):
        box.faults.arm(fault, {"path": path}, times=None)
        walk.go("/connections/?client=northwind")
        walk.press("Connect Meta account")
        walk.at_meta()
        walk.failed("connect_meta_down", "Meta did not answer.")
        box.faults.disarm()
    walk.look("meta-down")

    walk.press("Try again")
    walk.at_meta()
    walk.at("**/connections/confirm/**")
    clock.advance(601)
    page.reload()
    walk.failed("connect_expired", "The ten minutes to confirm have passed.")
    walk.look("expired")
    walk.press("Try again")
    clock.advance(601)
    walk.at_meta()
    walk.failed("connect_state", "is more than ten minutes old")
    used = page.url
    walk.look("state")
    page.goto(used)  # a replay of what was refused stays refused
    walk.failed("connect_state", "was used already")
    assert not MetaConnection.everything.exists()


def _success(walk: Walk, box) -> None:
    page = walk.page
    walk.go("/connections/?client=northwind")
    walk.press("Connect Meta account")
    walk.at_meta(without=("ads_management",))
    walk.at("**/connections/confirm/**")
    expect(page.locator("main")).to_contain_text("This connection will be read-only.")
    page.get_by_role("checkbox").nth(1).uncheck()
    walk.look("confirm-read-only")
    assert "#" not in page.url  # Facebook's mark is gone
    walk.press("Connect to Northwind")
    walk.at("**/c/northwind/")
    expect(page.locator("main")).to_contain_text("It is read-only: ads_management was not given")
    walk.go("/connections/?client=northwind")
    expect(page.locator("main")).to_contain_text("It works, read-only")
    walk.look("read-only")

    walk.press("Reconnect Alice Agency")
    walk.at_meta()
    walk.at("**/connections/confirm/**")
    back = page.url
    walk.look("confirm")
    expect(page.get_by_text("on already")).to_have_count(2)
    assert not page.get_by_role("checkbox").nth(1).is_checked()
    walk.press("Connect to Northwind")
    walk.at("**/c/northwind/")
    expect(page.locator(".notice.ok")).to_contain_text("Alice Agency is connected to Northwind.")
    walk.look("success")
    page.goto(back)  # a reload of the answer lands at the same place, and nothing is made twice
    walk.at("**/c/northwind/")
    assert MetaConnection.everything.count() == 1
    assert set(MetaConnection.everything.get().scopes) >= {"ads_read", "ads_management"}


def _second_user(walk: Walk) -> None:
    page = walk.page
    walk.go("/connections/?client=northwind")
    walk.press("Reconnect Alice Agency")
    walk.at_meta(user="Bob Buyer")
    walk.failed("connect_wrong_user", "Bob Buyer logged in at Facebook")
    walk.look("wrong-user")
    page.get_by_role("link", name="Add as a second connection").click()
    expect(page.locator("main")).to_contain_text("This is added as a second connection of Northwind.")
    walk.press("Connect to Northwind")
    walk.at("**/c/northwind/")
    walk.go("/connections/?client=northwind")
    expect(page.locator(".connection")).to_have_count(2)
    walk.look("two-connections")


def _looking_after(walk: Walk) -> None:
    page = walk.page
    alice = page.locator(".connection", has_text="Alice Agency").first
    alice.get_by_role("button", name="Look for ad accounts again").click()
    expect(alice).to_contain_text("Looked again")
    alice.get_by_role("button", name="Pause").click()
    expect(alice).to_contain_text("It was paused here")
    walk.look("paused")
    page.locator(".connection", has_text="It was paused here").get_by_role("button", name="Resume").click()
    expect(page.locator(".connection", has_text="It was paused here")).to_have_count(0)
    bob = page.locator(".connection", has=page.get_by_role("heading", name="Bob Buyer"))
    bob.get_by_role("button", name="Disconnect").click()
    expect(bob).to_contain_text("It was disconnected")
    walk.look("disconnected")
    assert {row.meta_user_name: row.state for row in MetaConnection.everything.all()} == {
        "Alice Agency": "connected",
        "Bob Buyer": "revoked",
    }


def _claimed(walk: Walk, agency, box) -> None:
    page = walk.page
    forget()
    held = {"client": agency.southwind, "name": "held", "currency": "USD", "timezone_name": "UTC"}
    first, *others = box.ad_accounts()
    AdAccount.everything.create(meta_id=first[4:], **held)
    walk.go("/connections/?client=northwind")
    walk.press("Connect Meta account")
    walk.at_meta()
    expect(page.locator(".choice.taken")).to_have_count(1)
    walk.look("confirm-partly-claimed")
    for act in others:
        AdAccount.everything.create(meta_id=act[4:], **held)
    walk.press("Connect to Northwind")
    walk.failed("ad_account_claimed", "An ad account belongs to one client, with all of its history.")
    walk.look("all-claimed")
    assert not MetaConnection.everything.exists()
    forget()


def _pasted(walk: Walk, box) -> None:
    page = walk.page
    walk.go("/connections/?client=northwind")
    page.get_by_role("link", name="Paste a token").click()
    page.get_by_label("Access token").fill("EAASnotatoken" + "x" * 60)
    walk.press("Check it at Meta")
    expect(page.locator(".errorlist")).to_contain_text("not valid")
    assert page.get_by_label("Access token").input_value() == ""
    walk.look("paste-refused")
    page.get_by_label("Access token").fill(box.token("system"))
    walk.press("Check it at Meta")
    walk.at("**/connections/confirm/**")
    walk.press("Connect to Northwind")
    walk.at("**/c/northwind/")
    assert MetaConnection.everything.get().kind == "SYSTEM_USER"


def _guest(walk: Walk, browser) -> None:
    page = walk.page
    walk.go("/connections/?client=northwind")
    page.get_by_text("Send a link to the client's own person").click()
    page.get_by_label("Their e-mail").fill("carol@northwind.example")
    walk.press("Send the link")
    expect(page.locator("main")).to_contain_text("The link is on its way.")
    expect(page.get_by_role("row", name=re.compile("carol@northwind.example"))).to_contain_text("open, ends")
    walk.look("link-sent")
    url = re.search(r"http\S+/connections/connect/\S+", OutboxMessage.everything.get().body)[0]
    context = browser.new_context()
    guest = Walk(context.new_page(), walk.base)
    guest.page.goto(url)
    guest.look("guest-link")
    guest.press("Continue to Facebook")
    guest.at_meta(press="Cancel")
    guest.failed("connect_denied", "Permission was not given")
    guest.look("guest-denied")
    guest.page.get_by_role("link", name="Try again").click()
    guest.press("Continue to Facebook")
    guest.at_meta()
    guest.at("**/connections/confirm/**")
    guest.look("guest-confirm")
    guest.press("Connect to Northwind")
    expect(guest.page.locator("main")).to_contain_text("Alice Agency is connected for Northwind.")
    guest.look("guest-thanks")
    guest.page.goto(url)
    guest.failed("link_spent", "This link was used already.")
    guest.look("guest-used")
    assert guest.troubles == []
    context.close()
    assert ConnectLink.everything.get().used_at is not None


def _what_changed_meanwhile(walk: Walk, agency) -> None:
    page = walk.page
    walk.go("/connections/?client=northwind")
    walk.press("Connect Meta account")
    walk.at("**/dialog/oauth**")
    Membership.objects.filter(user=agency.users.alice).update(role=Role.VIEWER, client=agency.northwind)
    walk.at_meta()
    walk.failed("connect_role_lost", "your role changed meanwhile")
    walk.look("role-lost")
    Membership.objects.filter(user=agency.users.alice).update(role=Role.OWNER, client=None)
    walk.go("/connections/?client=northwind")
    walk.press("Connect Meta account")
    walk.at("**/dialog/oauth**")
    page.context.clear_cookies(name=django_settings.SESSION_COOKIE_NAME)
    walk.at_meta()
    walk.failed("connect_signed_out", "You were signed out before Meta sent you back")
    walk.look("signed-out")
