"""The end of a session at a real browser: warned of, put off, and then nothing is left in any tab.

The server's clock and the browser's are moved together, so half an hour takes no time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect

import accounts.sessions as sessions
from tests.browser.conftest import settled, sign_in, until

pytestmark = pytest.mark.chromium
FOLDER = Path(settings.BASE_DIR) / "var" / "screenshots"
MINUTE = 60


class Desk:
    """A browser with several tabs, whose time passes together with the server's."""

    def __init__(self, context: BrowserContext, base: str, clock: Any) -> None:
        self.context, self.base, self.clock = context, base, clock

    def tab(self, path: str) -> Page:
        page = self.context.new_page()
        self.go(page, path)
        return page

    def go(self, page: Page, path: str) -> None:
        page.goto(self.base + path)
        settled(page)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.context.clock.fast_forward(int(seconds * 1000))

    def left(self) -> int:
        """Idle seconds that the server grants, asked beside the pages."""
        answer = self.context.request.get(f"{self.base}/api/session", headers={"X-Poll": "1"})
        return int(answer.json()["idle_seconds"])


@pytest.fixture
def desk(browser: Any, live_app: str, connected: Any, clock: Any) -> Iterator[Desk]:
    context = browser.new_context()
    context.set_default_timeout(10_000)
    context.clock.install()
    page = context.new_page()
    sign_in(page, live_app, "bob")
    page.close()
    yield Desk(context, live_app, clock)
    context.close()


def dialog(page: Page) -> Any:
    return page.locator("#session-warning")


def at_sign_in(page: Page, why: str) -> None:
    page.wait_for_url(re.compile(rf"/accounts/login/\?(.*&)?ended={why}"))
    expect(page.get_by_text(sessions.ENDED[why])).to_be_visible()
    assert "Northwind" not in page.locator("body").inner_text()


def test_two_minutes_before_the_end_a_person_is_warned_and_stays(desk: Desk) -> None:
    page = desk.tab("/connections/")
    desk.wait(27 * MINUTE + 50)
    page.wait_for_timeout(300)
    expect(dialog(page)).to_be_hidden()
    desk.wait(12)
    expect(dialog(page)).to_be_visible()
    expect(page.get_by_role("heading", name="Are you still there?")).to_be_visible()
    expect(dialog(page).locator(".when-idle .countdown")).to_have_text(re.compile(r"1:5\d"))
    expect(page.get_by_role("button", name="Stay signed in")).to_be_focused()
    expect(page).to_have_title(re.compile(r"^Signed out in 1:5\d"))
    before = desk.left()
    assert before <= 2 * MINUTE  # that the page asked did not put it off
    page.get_by_role("button", name="Stay signed in").click()
    expect(dialog(page)).to_be_hidden()
    assert desk.left() > 29 * MINUTE
    expect(page).not_to_have_title(re.compile("Signed out"))
    desk.wait(27 * MINUTE)
    page.wait_for_timeout(300)
    expect(dialog(page)).to_be_hidden()


def test_the_keyboard_answers_the_warning(desk: Desk) -> None:
    page = desk.tab("/connections/")
    desk.wait(28 * MINUTE + 10)
    expect(dialog(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    assert desk.left() > 29 * MINUTE


def test_staying_in_one_tab_takes_the_warning_out_of_the_other(desk: Desk) -> None:
    one, other = desk.tab("/connections/"), desk.tab("/alerts/?client=northwind")
    desk.wait(28 * MINUTE + 10)
    expect(dialog(one)).to_be_visible()
    expect(dialog(other)).to_be_visible()
    one.get_by_role("button", name="Stay signed in").click()
    expect(dialog(one)).to_be_hidden()
    expect(dialog(other)).to_be_hidden()


def test_typing_is_activity_although_no_page_is_asked_for(desk: Desk) -> None:
    page = desk.tab("/connections/")
    desk.wait(20 * MINUTE)
    assert desk.left() <= 10 * MINUTE
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.keyboard.press("Tab")
    assert desk.left() > 29 * MINUTE


def test_an_open_page_that_nobody_touches_keeps_nobody_signed_in(desk: Desk) -> None:
    page = desk.tab("/c/northwind/")
    for _ in range(9):
        desk.wait(3 * MINUTE)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # it asks for its parts again
        page.wait_for_timeout(100)
    assert desk.left() <= 3 * MINUTE


def test_idleness_signs_out_every_tab_and_back_shows_nothing(desk: Desk) -> None:
    one, other = desk.tab("/connections/"), desk.tab("/c/northwind/")
    desk.go(one, "/alerts/?client=northwind")
    expect(one.locator("body")).to_contain_text("Northwind")
    desk.wait(30 * MINUTE + 2)
    at_sign_in(one, "idle")
    at_sign_in(other, "idle")
    for page in (one, other):
        page.go_back()
        page.wait_for_timeout(300)
        assert "Northwind" not in page.locator("body").inner_text()
    expect(one).to_have_url(re.compile("/accounts/login/"))
    one.goto(f"{desk.base}/accounts/login/?ended=idle&next=/alerts/%3Fclient%3Dnorthwind")
    one.get_by_label("Email").fill("bob@example.com")
    one.get_by_label("Password").fill("correct horse battery")
    one.get_by_role("button", name="Sign in", exact=True).click()
    one.wait_for_url(re.compile(r"//[^/]+/alerts/\?client=northwind$"))


def test_signing_out_in_one_tab_signs_out_the_other_and_back_shows_nothing(desk: Desk) -> None:
    one, other = desk.tab("/connections/"), desk.tab("/c/northwind/")
    one.evaluate("localStorage.setItem('kept', 'a draft'); sessionStorage.setItem('kept', 'a draft')")
    one.evaluate("caches.open('kept').then((one) => one.put('/x', new Response('a draft')))")
    one.get_by_label(re.compile("Your menu")).click()
    one.get_by_role("radio", name="Dark").check()
    one.get_by_role("button", name="Sign out", exact=True).first.click()
    one.wait_for_url(re.compile("/accounts/login/"))
    expect(one.get_by_text("Nothing of your session is left in this browser")).to_be_visible()
    at_sign_in(other, "signed_out")
    for page in (one, other):
        page.go_back()
        page.wait_for_timeout(300)
        assert "Northwind" not in page.locator("body").inner_text()
    one.goto(f"{desk.base}/accounts/login/")
    until(one, "localStorage.length === 0 && sessionStorage.length === 0")
    until(one, "caches.keys().then((names) => names.length === 0)")
    assert one.evaluate("document.documentElement.dataset.theme") == "dark"  # the colours are no secret


def test_a_session_that_was_ended_elsewhere_closes_the_live_line_and_empties_the_page(
    desk: Desk, connected: Any
) -> None:
    page = desk.tab("/c/northwind/")
    page.locator('#live[data-state="live"]').wait_for()
    assert sessions.end_all(user=connected.users.bob) == 1
    at_sign_in(page, "ended")


def test_a_session_that_is_gone_in_silence_is_noticed_by_the_next_poll(desk: Desk) -> None:
    page = desk.tab("/c/northwind/")
    Session.objects.all().delete()  # nobody tells the page
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    at_sign_in(page, "ended")


def test_a_refused_write_takes_a_person_to_the_sign_in(desk: Desk) -> None:
    page = desk.tab("/c/northwind/")
    Session.objects.all().delete()  # in silence: told of it, the page would go by itself before the write
    page.get_by_label("Stop changes: kill switch").click()
    page.get_by_label(re.compile("^Why")).fill("Wrong prices")
    page.get_by_role("button", name="Stop all changes").click()
    at_sign_in(page, "ended")


def test_a_page_out_of_the_browser_s_memory_shows_nothing_before_the_server_was_asked(
    desk: Desk,
) -> None:
    page = desk.tab("/c/northwind/")
    Session.objects.all().delete()  # in silence: told of it, the page would go by itself
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    at_sign_in(page, "ended")
    again = desk.context.new_page()
    sign_in(again, desk.base, "bob")
    desk.go(again, "/connections/")
    again.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(again.locator("html")).not_to_have_class(re.compile("withheld"))
    expect(again.locator("main h1")).to_be_visible()


def test_a_server_that_is_away_at_the_end_still_leaves_no_data_on_the_screen(desk: Desk) -> None:
    page = desk.tab("/c/northwind/")
    desk.context.set_offline(True)
    desk.wait(30 * MINUTE + 2)
    expect(page.locator("body")).not_to_contain_text("Northwind")
    expect(page).not_to_have_title(re.compile("Northwind"))
    desk.context.set_offline(False)


def test_a_page_is_gone_when_somebody_else_has_signed_in_in_this_browser(desk: Desk, connected: Any) -> None:
    page = desk.tab("/c/northwind/")
    charlie = Client()
    charlie.force_login(connected.users.charlie)
    cookie = charlie.cookies["session"].value
    desk.context.add_cookies([{"name": "session", "value": cookie, "url": desk.base}])
    desk.tab("/alerts/?client=southwind")
    page.wait_for_url(re.compile(r"/c/southwind/$"))
    expect(page.locator("body")).not_to_contain_text("Northwind")


def test_the_working_day_ends_after_twelve_hours_with_a_warning_of_its_own(desk: Desk) -> None:
    for _ in range(24):
        desk.clock.advance(29 * MINUTE)
        assert desk.context.request.get(f"{desk.base}/api/session").status == 200
    desk.clock.advance(22 * MINUTE + 10)
    page = desk.tab("/connections/")
    expect(page.get_by_role("heading", name="Your working day here ends soon")).to_be_visible()
    expect(page.get_by_role("button", name="Stay signed in")).to_be_hidden()
    page.get_by_role("button", name="I will finish in time").click()
    expect(dialog(page)).to_be_hidden()
    page.wait_for_timeout(2500)
    expect(dialog(page)).to_be_hidden()  # said once is enough
    desk.wait(2 * MINUTE)
    at_sign_in(page, "absolute")


def test_a_person_ends_the_session_of_another_browser(desk: Desk, browser: Any) -> None:
    there = browser.new_context()
    other = there.new_page()
    sign_in(other, desk.base, "bob")
    desk.go(other, "/c/northwind/")
    other.locator('#live[data-state="live"]').wait_for()
    page = desk.tab("/accounts/sessions/")
    expect(page.get_by_text("This one")).to_be_visible()
    page.get_by_role("button", name=re.compile("^End the session")).click()
    expect(page.get_by_text("That session has ended")).to_be_visible()
    expect(page.get_by_text("You are signed in nowhere else.")).to_be_visible()
    at_sign_in(other, "ended")  # by itself: its live line was closed
    other.goto(f"{desk.base}/connections/")
    expect(other).to_have_url(re.compile(r"/accounts/login/\?"))
    there.close()


def test_the_operations_site_warns_and_empties_itself_too(desk: Desk) -> None:
    page = desk.tab("/admin/accounts/client/")
    expect(page.locator("body")).to_contain_text("Northwind")
    desk.wait(28 * MINUTE + 10)
    expect(dialog(page)).to_contain_text(re.compile(r"signed out in 1:[45]\d"))
    page.get_by_role("button", name="Stay signed in").click()
    expect(dialog(page)).to_be_hidden()
    assert desk.left() > 29 * MINUTE
    desk.wait(30 * MINUTE + 2)
    at_sign_in(page, "idle")
