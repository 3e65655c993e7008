"""The ad-account switcher in a real browser: by mouse, by keyboard, on a phone, with few and with many accounts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from accounts.models import AdAccount
from tests.browser.conftest import sign_in
from tests.dashboard.test_switching import account

pytestmark = pytest.mark.chromium


@pytest.fixture
def shops(furnished):
    for number in range(10, 90):
        account(
            furnished.northwind,
            number,
            f"Shop number {number} of a very long trading name",
            on=number % 3 > 0,
        )
    return furnished


def opened(page):
    page.locator("#account-switcher > summary").click()
    page.locator("#account-switcher[open]").wait_for()


def names(page):
    return page.locator("#account-switcher .items a.item:visible .name").all_inner_texts()


def test_search_and_keyboard_lead_to_any_account(page, live_app, shops, console):
    sign_in(page, live_app, "bob")
    page.goto(f"{live_app}/alerts/?client=northwind")
    opened(page)
    page.locator("#account-switcher .items a").nth(80).wait_for(state="attached")
    page.locator("#find-account:focus").wait_for()
    page.keyboard.type("number 88")
    assert names(page) == ["Shop number 88 of a very long trading name"]
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/a/act_770088/"))
    opened(page)
    page.locator("#find-account:focus").wait_for()
    current = page.locator('#account-switcher [aria-current="true"]')
    assert current.inner_text().startswith("Shop number 88")
    page.keyboard.type("zzz")
    assert page.get_by_text("No ad account is called that.").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#account-switcher[open]").count() == 0
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.goto(f"{live_app}/")
    assert page.url.endswith("/a/act_770088/")  # the last choice
    assert console == []


def test_arrow_keys_walk_the_list(page, live_app, furnished):
    account(furnished.northwind, 1, "Apples")
    sign_in(page, live_app, "bob")
    page.goto(f"{live_app}/ledger/")
    opened(page)  # few accounts: no search field, the first item has the focus
    page.locator("#account-switcher a:focus").wait_for()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent").startswith("Apples")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/a/act_1910000000000011/"))


def test_without_javascript_the_menu_opens_and_leads_on(browser, live_app, furnished):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_app, "bob", scripts=False)
    page.goto(f"{live_app}/alerts/")
    opened(page)
    page.locator("#account-switcher .items a").first.click()
    page.wait_for_url(re.compile("/a/act_"))
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_a_desk(browser, live_app, shops, scheme):
    folder = Path(django_settings.BASE_DIR) / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    act = AdAccount.everything.get(meta_id="770088").act_id
    for width in (390, 1440):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        sign_in(page, live_app, "alice")
        for name, path in {"long": f"/a/{act}/", "usual": f"/a/{shops.ad_account.act_id}/"}.items():
            page.goto(live_app + path)
            page.locator('#live[data-state="live"]').wait_for(state="attached")
            opened(page)
            page.locator("#account-switcher .items a").nth(80).wait_for(state="attached")
            page.screenshot(path=folder / f"switcher-{name}-{width}-{scheme}.png")
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            box = page.locator("#account-switcher .panel").bounding_box()
            assert wide <= 0 and box["x"] >= 0 and box["x"] + box["width"] <= width
        context.close()
