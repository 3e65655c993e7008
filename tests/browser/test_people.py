"""Inviting, accepting, changing, removing, viewing as a client and the second step, in a real Chromium."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from allauth.mfa import app_settings as mfa
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import settings
from django.core import mail

import accounts.clients as clients
import accounts.invitations as invitations
import accounts.outbox as outbox
import accounts.people as people
import accounts.policies as policies
from accounts.models import Invitation, Membership, Role, User
from tests.browser.conftest import sign_in

pytestmark = pytest.mark.chromium
LOOKS = [(width, scheme) for width in (390, 1440) for scheme in ("light", "dark")]


@pytest.fixture
def folder():
    found = Path(settings.BASE_DIR) / "var" / "screenshots"
    found.mkdir(parents=True, exist_ok=True)
    return found


def link(live_app, clock):
    mail.outbox.clear()
    outbox.deliver(now=clock.now())
    return re.search(rf"{re.escape(live_app)}/invitations/\S+/", mail.outbox[0].body)[0]


def test_a_person_is_invited_accepts_is_promoted_and_removed(browser, page, live_app, agency, clock, console):
    sign_in(page, live_app, "alice")
    page.goto(f"{live_app}/people/?client=northwind")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label("Invite by e-mail").fill("wanda@example.com")
    page.get_by_label("As", exact=True).select_option("analyst")
    page.get_by_role("button", name="Invite", exact=True).click()
    page.get_by_text("Invited. The mail is on its way").wait_for()
    page.locator("tr.invited", has_text="wanda@example.com").wait_for()

    guest = browser.new_page()
    guest.goto(link(live_app, clock))
    guest.get_by_label("Your name").fill("Wanda West")
    guest.get_by_label("Choose a password").fill("a long enough password")
    guest.get_by_role("button", name="Accept and sign in").click()
    guest.wait_for_url(f"{live_app}/c/northwind/")
    wanda = User.objects.get(email="wanda@example.com")

    page.reload()
    row = page.locator("tr", has_text="wanda@example.com")
    row.get_by_label("Role of Wanda West").select_option("buyer")
    row.get_by_role("button", name="Change the role").click()
    row.get_by_text("Changed.").wait_for()
    assert Membership.objects.get(user=wanda).role == Role.BUYER
    guest.goto(f"{live_app}/people/")
    guest.get_by_text("Your role: Buyer at Northwind.").wait_for()
    guest.goto(f"{live_app}/c/northwind/")
    guest.locator('#live[data-state="live"]').wait_for()

    page.reload()
    page.locator("tr", has_text="wanda@example.com").get_by_role("button", name="Remove").click()
    page.locator("tr", has_text="wanda@example.com").wait_for(state="detached")
    guest.wait_for_url(re.compile("/accounts/login/"))  # by itself: the open page was told
    guest.goto(f"{live_app}/c/northwind/")
    guest.wait_for_url(re.compile("/accounts/login/"))
    assert console == []


def test_an_open_page_of_a_removed_person_closes_its_line_by_itself(page, live_app, agency, clock):
    """The page does not go on showing numbers as if they were live."""
    sign_in(page, live_app, "bob")
    page.goto(f"{live_app}/c/northwind/")
    page.locator('#live[data-state="live"]').wait_for()
    people.remove(
        user=agency.users.bob, client=agency.northwind, principal=agency.principals.alice, now=clock.now()
    )
    page.wait_for_url(re.compile("/accounts/login/.*ended=ended"), timeout=10_000)
    assert "Northwind" not in page.locator("body").inner_text()


def test_viewing_as_a_client_is_always_visible_and_ends_with_the_button(
    page, live_app, agency, clock, console
):
    sign_in(page, live_app, "alice")
    page.goto(f"{live_app}/people/?client=northwind")
    page.get_by_role("button", name="View as this client").click()
    page.wait_for_url(f"{live_app}/c/northwind/")
    bar = page.get_by_role("region", name="You are viewing as a client")
    bar.wait_for()
    for path in ("/alerts/", "/people/", "/ledger/"):
        page.goto(live_app + path)
        assert bar.is_visible()
    bar.get_by_role("button", name="Stop viewing as the client").click()
    page.wait_for_url(f"{live_app}/c/northwind/")
    assert bar.count() == 0 and console == []


def test_the_required_second_step_is_set_up_and_everything_opens(page, live_app, agency, clock, folder):
    policies.require_mfa(role=Role.BUYER, required=True, principal=agency.principals.alice, now=clock.now())
    page.goto(f"{live_app}/accounts/login/")
    page.get_by_label("Email").fill("bob@example.com")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{live_app}/two-factor/")
    page.get_by_role("link", name="Authenticator app").click()
    page.get_by_label("Password").fill("correct horse battery")
    page.locator("main").get_by_role("button").first.click()
    page.wait_for_url(f"{live_app}/accounts/2fa/totp/activate/")
    page.screenshot(path=folder / "totp-set-up.png", full_page=True)
    secret = (page.locator("code.key").text_content() or "").strip()
    code = hotp_value(secret, int(time.time()) // mfa.TOTP_PERIOD)
    page.locator('input[name="code"]').fill(format_hotp_value(code))
    page.locator('main button[type="submit"]').first.click()
    page.wait_for_url(re.compile("recovery-codes|2fa/$"))
    page.goto(f"{live_app}/c/northwind/")
    page.get_by_role("heading", name="Northwind").wait_for()


def test_the_pages_fit_and_are_quiet(browser, live_app, agency, clock, folder):
    alice = agency.principals.alice
    clients.archive(
        client=clients.create(name="Oldwind", principal=alice, now=clock.now()),
        principal=alice,
        now=clock.now(),
    )
    for email, role in (
        ("wanda@example.com", Role.BUYER),
        ("a.very.long.address.of.somebody@example.com", Role.APPROVER),
    ):
        invitations.invite(email=email, client=agency.northwind, role=role, principal=alice, now=clock.now())
    Invitation.everything.filter(email="wanda@example.com").update(expires_at=clock.now())
    User.objects.filter(email="vic@example.com").update(is_active=False)
    policies.require_mfa(role=Role.ANALYST, required=True, principal=alice, now=clock.now())
    Membership.objects.create(user=agency.users.charlie, client=agency.northwind, role=Role.ANALYST)
    invitations.invite(
        email="new@example.com", client=agency.northwind, role=Role.BUYER, principal=alice, now=clock.now()
    )
    good = link_of("new@example.com", clock)
    troubles = []
    for width, scheme in LOOKS:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.on(
            "console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None
        )

        def look(name, path, page=page, width=width, scheme=scheme):
            page.goto(live_app + path)
            page.locator("main h1").first.wait_for()
            page.wait_for_timeout(150)
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            if wide > 0:
                troubles.append(f"{name} at {width}: {wide} px too wide")

        look("invitation", good)
        look("invitation-dead", "/invitations/no-such-link/")
        sign_in(page, live_app, "alice")
        look("invitation-of-another", good)
        look("people-of-all", "/people/")
        look("overview-asked", "/c/northwind/")
        page.goto(f"{live_app}/people/?client=northwind")
        page.get_by_role("button", name="View as this client").click()
        page.wait_for_url(re.compile("/c/northwind/"))
        look("acting", "/people/")
        look("acting-closed", "/admin/")
        context.close()
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{live_app}/accounts/login/")
        page.get_by_label("Email").fill("charlie@example.com")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(re.compile("two-factor"))
        look("two-factor", "/two-factor/", page=page)
        context.close()
    assert [one for one in troubles if "404 (Not Found)" not in one and "403 (Forbidden)" not in one] == []


def link_of(email, clock):
    outbox.deliver(now=clock.now())
    body = next(letter.body for letter in mail.outbox if letter.to == [email])
    return re.search(r"/invitations/\S+/", body)[0]
