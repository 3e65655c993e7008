"""Every page at phone and desk width, light and dark: no sideways scroll, no console error, a picture to look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from tests.browser.conftest import sign_in
from tests.dashboard.test_pages import PAGES, address

pytestmark = pytest.mark.chromium
WIDTHS = (390, 1440)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_is_quiet(browser, live_app, furnished, scheme):
    folder = Path(settings.BASE_DIR) / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    troubles: list[str] = []
    for width in WIDTHS:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.on(
            "console",
            lambda said, page=page: (
                troubles.append(f"{page.url}: {said.text}") if said.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error, page=page: troubles.append(f"{page.url}: {error}"))
        page.goto(f"{live_app}/accounts/login/")
        page.screenshot(path=folder / f"login-{width}-{scheme}.png", full_page=True)
        sign_in(page, live_app, "alice")
        pages = {name: address(furnished, name) for name in PAGES}
        for name in ("proposals", "ledger", "strategies", "alerts", "connections", "people"):
            pages[name] += "?client=northwind"
        for name, path in {"clients": "/clients/", **pages, "not_found": "/a/act_999/"}.items():
            page.goto(live_app + path)
            page.locator("main h1").first.wait_for()
            page.wait_for_timeout(150)
            if name not in ("clients", "not_found"):
                page.locator('#live[data-state="live"]').wait_for(state="attached")
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            if wide > 0:
                troubles.append(f"{name} at {width}: {wide} px too wide")
        context.close()
    assert [one for one in troubles if "404 (Not Found)" not in one] == []
