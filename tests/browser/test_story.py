"""In a real browser: a bulk edit from ticking rows to its undo, and a change's whole story as a sentence and a tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import settings

from campaigns.models import Change, LedgerLine
from tests.browser.conftest import sign_in
from tests.campaigns.conftest import desk

__all__ = ["desk"]

pytestmark = [pytest.mark.chromium, pytest.mark.django_db(transaction=True)]
SIZES = tuple((width, scheme) for width in (390, 1440) for scheme in ("light", "dark"))

#: Labels that stick out of their card: on a phone no card scrolls sideways.
OUTSIDE = """[...document.querySelectorAll("main .card .badge")].filter((one) => one.getBoundingClientRect().right >
  one.closest(".card").getBoundingClientRect().right).map((one) => one.innerText)"""


def pictures(browser, base, who, paths):
    """Each page narrow and wide, light and dark; nothing scrolls sideways."""
    folder = Path(settings.BASE_DIR) / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    for width, scheme in SIZES:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        sign_in(page, base, who)
        for name, path in paths.items():
            page.goto(base + path)
            page.locator("main h1").first.wait_for()
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
            outside = page.evaluate(OUTSIDE) if width < 640 else []
            assert outside == [], (name, outside)
            assert (
                page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                <= 0
            ), name
        context.close()


def test_a_bulk_edit_by_keyboard_and_without_scripts_and_the_story_of_one_change(browser, live_app, desk):
    account = f"/a/{desk.account.act_id}/"
    plain = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 900})
    page = plain.new_page()
    sign_in(page, live_app, "alice", scripts=False)
    page.goto(live_app + account)
    tick = page.locator(f'.tick[value="{desk.campaign.meta_id}"]')
    tick.focus()
    page.keyboard.press("Space")
    assert tick.is_checked()
    page.locator("#pick-do").select_option("raise")
    page.locator("#pick-by").fill("20")
    page.locator("#pick-by").press("Enter")
    page.get_by_role("heading", name="Review: raise the budget by 20 %").wait_for()
    review = page.url.removeprefix(live_app)
    page.locator("#reason").fill("The season begins")
    page.get_by_role("button", name="Ask for this change").click()
    page.get_by_role("button", name="Approve all of it, or nothing").click()
    page.get_by_text("The season begins").first.wait_for()
    batch = page.url.removeprefix(live_app)
    change = desk.until(Change.everything.get(), "APPLIED")
    page.reload()
    page.get_by_role("button", name="Undo the batch").click()
    page.get_by_role("heading", name="Changes asked for together").wait_for()
    assert Change.everything.filter(undo_of=change).count() == 1
    plain.close()

    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = context.new_page()
    sign_in(page, live_app, "vic")  # the client's own viewer sees all of it
    page.goto(f"{live_app}/changes/{change.uuid}/")
    sentence = page.locator(".lead").inner_text()
    assert "Alice asked to raise the daily budget" in sentence and "sent once; it is applied" in sentence
    tree = page.locator(".tree").first.inner_text()
    for part in (
        "Asked for by Alice", "The season begins", "Asked for together with others", "Approved by Alice",
        "Read before sending", "Sent, attempt 1", "Read back", "Applied: read back twice alike",
        "Undo asked for by Alice",
    ):  # fmt: skip
        assert part in tree, part
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export").click()
    lines = [json.loads(line) for line in Path(waiting.value.path()).read_text().splitlines()]
    assert {json.loads(line["text"])["change"] for line in lines} == {str(change.uuid)}
    context.close()
    pictures(
        browser, live_app, "alice",
        {"story": f"/changes/{change.uuid}/", "batch": batch, "review": review, "limits": f"{account}limits/",
         "account-table": account},
    )  # fmt: skip


def test_what_others_did_stands_in_the_ledger_with_who_did_it_and_in_the_story_that_it_ended(
    browser, live_app, desk
):
    """A person in Ads Manager, another app and Meta itself; the change that one of them overtook says so."""
    applied = desk.until(desk.approved("120"), "APPLIED")
    desk.wait(minutes=10)
    overtaken = desk.approved("130")
    desk.edit(desk.campaign, "daily_budget", 9_000)
    desk.until(overtaken, "SUPERSEDED")
    desk.edit(desk.other, "status", "PAUSED", application_id="999")
    desk.edit(desk.ad_set, "status", "PAUSED", actor="")
    desk.wait(minutes=10)
    desk.sync()
    assert not LedgerLine.everything.filter(kind="edit", object_name="").exists()
    waiting = desk.file("40", obj=desk.ad_set, acknowledged=True)
    assert waiting.state == "PROPOSED", waiting.error_text
    context = browser.new_context(viewport={"width": 390, "height": 900})
    page = context.new_page()
    sign_in(page, live_app, "vic")
    page.goto(f"{live_app}/ledger/?account={desk.account.act_id}")
    rows = page.locator("tbody tr").all_inner_texts()
    outside = " | ".join(" ".join(row.split()) for row in rows if "edited outside" in row)
    for said in ("somebody in Ads Manager", "another app", "Paused Meta"):
        assert said in outside, outside
    page.goto(f"{live_app}/changes/{overtaken.uuid}/")
    assert "somebody else changed the value meanwhile, so we stopped" in page.locator(".lead").inner_text()
    tree = page.locator(".tree").first.inner_text()
    assert "Changed outside by somebody in Ads Manager: 90.00" in tree and "Left alone from here on" in tree
    assert page.locator(".timeline .badge").all_inner_texts()[-1] == "left alone"
    context.close()

    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    sign_in(page, live_app, "vera")  # on her phone
    page.goto(f"{live_app}/changes/{waiting.uuid}/")
    lost = page.get_by_text("What an undo will not bring back.").bounding_box()
    button = page.get_by_role("button", name="Approve exactly this").bounding_box()
    assert lost["y"] < button["y"]
    context.close()
    pictures(
        browser, live_app, "alice",
        {"ledger-outside": f"/ledger/?account={desk.account.act_id}", "overtaken": f"/changes/{overtaken.uuid}/",
         "applied": f"/changes/{applied.uuid}/", "waiting": f"/changes/{waiting.uuid}/"},
    )  # fmt: skip
