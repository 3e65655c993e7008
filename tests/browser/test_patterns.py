"""The heat map with enough weeks: what is found is marked, and says its interval to a pointer and to the keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from insights.rows import HOUR, read
from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.browser.conftest import sign_in
from tests.insights.conftest import NOW, TODAY, wire

pytestmark = pytest.mark.chromium
GOOD = 20


def hours(day):
    """A campaign's hours of a day: few at night, and one hour in which people click more."""
    for hour in range(24):
        shown = 300 + 90 * min(hour, 12)
        clicks = shown // (25 if hour == GOOD else 50) + (day.toordinal() * 7 + hour * 3) % 9
        raw = wire("campaign", "10", day, spend="8.00", impressions=shown, clicks=clicks)
        yield read({**raw, HOUR: f"{hour:02}:00:00 - {hour:02}:59:59"}, level="campaign")


@pytest.fixture
def weeks(furnished):
    days = [TODAY - DAY * age for age in range(1, 57)]
    upsert(
        ad_account=furnished.ad_account,
        rows=[row for day in days for row in hours(day)],
        slices=[Read("hour", "campaign", day) for day in days],
        now=NOW,
    )
    return furnished


def test_the_good_hours_are_marked_and_tell_their_interval_by_pointer_and_keyboard(browser, live_app, weeks):
    folder = Path(settings.BASE_DIR) / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    first = browser.new_context()
    sign_in(first.new_page(), live_app, "alice")
    signed_in = first.storage_state()
    first.close()
    for width, scheme in ((390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, storage_state=signed_in
        )
        page = context.new_page()
        page.goto(f"{live_app}/a/{weeks.ad_account.act_id}/patterns/?metric=ctr&weeks=8")
        page.locator(".heat").wait_for()
        page.screenshot(path=folder / f"heat-{width}-{scheme}.png", full_page=True)
        assert page.locator(".heat td.found-better").count() == 7
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        found = page.locator(".heat td.found-better").first
        found.focus()
        told = found.evaluate("one => getComputedStyle(one, '::after').content")
        assert "Monday 20:00" in told and "95 %" in told and "better" in told
        quiet = page.locator(".heat td:not(.found-better)").nth(30)
        quiet.hover()
        assert "no difference seen" in quiet.evaluate("one => getComputedStyle(one, '::after').content")
        hour = page.locator(".intervals").first.locator(".slot").nth(GOOD)
        hour.focus()
        assert "20:00" in hour.evaluate("one => getComputedStyle(one, '::after').content")
        page.screenshot(path=folder / f"heat-focus-{width}-{scheme}.png", full_page=True)
        context.close()


def test_without_javascript_the_page_reads_the_same(browser, live_app, weeks):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{live_app}/accounts/login/")
    page.locator('input[name="login"]').fill("alice@example.com")
    page.locator('input[name="password"]').fill("correct horse battery")
    page.locator('form button[type="submit"]').first.click()
    page.goto(f"{live_app}/a/{weeks.ad_account.act_id}/patterns/")
    assert page.locator(".heat td.found-better").count() == 7
    page.locator('select[name="metric"]').select_option("cpc")
    page.locator(".asks button").click()
    assert "metric=cpc" in page.url and page.locator(".heat").count() == 1
    context.close()
