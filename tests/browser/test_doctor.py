"""The doctor looks from inside a real browser: well there, and each trouble of the browser found where it is real."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from insights.poll import tick
from tests.browser.conftest import sign_in, until

pytestmark = pytest.mark.chromium
ADDRESS = "/connections/doctor/?client=northwind"


@pytest.fixture
def house(furnished, clock):
    tick(now=clock.now())
    return furnished


def row(page):
    return page.locator('[data-check="login.browser"]')


def settled(page, state):
    page.locator(f'[data-check="login.browser"][data-state="{state}"]').wait_for(timeout=15_000)
    return row(page).locator(".finding").inner_text(), row(page).locator(".fix").inner_text()


def test_a_well_browser_is_ok_and_the_counts_say_so(page, live_app, house, console):
    sign_in(page, live_app, "bob")
    page.goto(live_app + ADDRESS)
    finding, _ = settled(page, "ok")
    assert finding == "Address, cookies, scripts, live line and clock are well."
    assert page.locator(".check").count() == 16
    assert "not known" not in page.locator("[data-sum]").inner_text()
    page.evaluate("window.before = document.querySelector('[data-check=\"login.browser\"]')")
    page.get_by_role("link", name="Check again").click()
    until(page, "!window.before.isConnected")
    settled(page, "ok")
    assert page.url.endswith(ADDRESS)  # asked again in place
    assert console == []


def test_another_address_than_the_products_is_found(page, live_app, house, settings):
    sign_in(page, live_app, "bob")
    settings.PUBLIC_URL = "https://ads.example.com"
    page.goto(live_app + ADDRESS)
    finding, fix = settled(page, "fail")
    assert "the product's address is https://ads.example.com" in finding
    assert "Open the product under its PUBLIC_URL" in fix


def test_a_blocked_live_line_is_found(page, live_app, house):
    sign_in(page, live_app, "bob")
    page.route_web_socket(re.compile("/ws/"), lambda ws: ws.close())
    page.goto(live_app + ADDRESS)
    finding, fix = settled(page, "fail")
    assert "live line did not open" in finding and "WebSockets" in fix


def test_a_blocked_script_is_found(page, live_app, house):
    sign_in(page, live_app, "bob")
    page.route(re.compile(r"dashboard/act\.js"), lambda route: route.abort())
    page.goto(live_app + ADDRESS)
    finding, fix = settled(page, "fail")
    assert "act.js was not loaded" in finding and "extensions" in fix


def test_a_wrong_clock_is_found(page, live_app, house):
    sign_in(page, live_app, "bob")
    page.clock.install(time=dt.datetime.now(dt.UTC) + dt.timedelta(hours=2))
    page.goto(live_app + ADDRESS)
    finding, fix = settled(page, "fail")
    assert re.search(r"(119|120|121) minutes away", finding) and "clock by the network" in fix


def test_a_browser_without_cookies_never_gets_to_the_doctor_and_is_told_why(browser, live_app, house):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("Object.defineProperty(navigator, 'cookieEnabled', {get: () => false})")
    sign_in(page, live_app, "bob")
    page.goto(live_app + ADDRESS)
    finding, fix = settled(page, "fail")
    assert "takes no cookies" in finding and "Allow cookies" in fix
    context.close()


def test_without_javascript_the_checks_are_a_link_away(browser, live_app, house):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_app, "bob", scripts=False)
    page.goto(live_app + ADDRESS)
    page.get_by_role("link", name="Run the checks").click()
    assert page.locator(".check").count() == 16
    assert row(page).get_attribute("data-state") == "unknown"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_a_desk(browser, live_app, house, scheme, settings):
    folder = Path(django_settings.BASE_DIR) / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    settings.META = {**settings.META, "app_secret": "another-secret"}
    for width in (390, 1440):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        sign_in(page, live_app, "bob")
        page.goto(live_app + ADDRESS)
        settled(page, "ok")
        page.screenshot(path=folder / f"doctor-{width}-{scheme}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        context.close()
