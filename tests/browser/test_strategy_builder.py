"""In a real browser, as a buyer: write a rule, preview and save it, see it propose, ask why, on a phone."""

from __future__ import annotations

import json

import pytest

from strategies import drafts
from strategies.models import Decision, Proposal, Strategy, StrategyVersion
from tests.browser.conftest import furnished, sign_in
from tests.browser.test_story import pictures

__all__ = ["furnished"]

pytestmark = [pytest.mark.chromium, pytest.mark.django_db(transaction=True)]


def state(page, words):
    page.locator("#state", has_text=words).wait_for()


def test_a_buyer_writes_a_rule_previews_and_saves_it_watches_it_propose_and_asks_why(
    browser, live_app, furnished, clock
):
    # What the other strategy has open would stand against this one's wishes.
    drafts.edit(
        strategy=furnished.strategy,
        principal=furnished.principals.bob,
        data={"status": "paused"},
        now=clock.now(),
    )
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    sign_in(page, live_app, "bob")
    page.goto(f"{live_app}/strategies/")
    page.get_by_role("link", name="Write rules").click()
    page.get_by_label("Name", exact=True).fill("Stop spending")
    state(page, "Understood")
    page.get_by_label("It judges").select_option("budget_owner")
    # The average goes; what is left is a plain condition, written by keyboard alone.
    page.get_by_role("button", name="Remove this condition").first.focus()
    page.keyboard.press("Enter")
    number = page.get_by_label("Number in").first
    number.fill("cheap")
    state(page, "1 mistake")
    assert number.get_attribute("aria-invalid") == "true"
    mistake = page.locator(f"#{number.get_attribute('aria-describedby')}").inner_text()
    assert "must be a number" in mistake
    number.fill("1")
    state(page, "Understood")
    page.get_by_role("button", name="Add a condition: Fact").click()
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.keyboard.type("weekday")
    for box in page.locator(".b-ticks input").all():
        box.check()
    state(page, "Understood")
    sentence = page.locator("#read-back").inner_text()
    assert "Pause when spend is above" in sentence and "weekday is mon or tue" in sentence
    page.get_by_role("button", name="Preview").click()
    preview = page.locator("#preview")
    preview.get_by_role("heading", name="What it would do now").wait_for()
    assert "It would ask" in preview.inner_text(), preview.inner_text()
    assert "Nothing was saved, asked for or sent" in preview.inner_text()
    assert not Strategy.objects.of(furnished.northwind).filter(name="Stop spending").exists()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Stop spending").wait_for()
    page.get_by_role("button", name="Look now").click()
    page.get_by_text("Looked at now.").wait_for()
    row = Strategy.objects.of(furnished.northwind).get(name="Stop spending")
    decided = Decision.objects.of(furnished.northwind).filter(strategy=row, current=True)
    fired = decided.filter(verdict="fired").order_by("pk").first()
    proposal = Proposal.objects.of(furnished.northwind).get(strategy=row, object_id=fired.object_id)
    page.goto(f"{live_app}/proposals/")
    page.get_by_role("link", name=proposal.object_name).first.click()
    page.get_by_role("link", name="Why, in full, and what would turn it").click()
    page.get_by_role("heading", name="What would turn it").wait_for()
    assert "spend" in page.locator(".lead").inner_text() + page.locator("#turn").inner_text()
    assert said == []

    page.goto(f"{live_app}/strategies/{row.uuid}/edit/")
    state(page, "Understood")
    assert json.loads(page.locator("#b-document").input_value()) == row.document
    page.get_by_label("Number in").first.fill("2")
    state(page, "Understood")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Version 2", exact=True).wait_for()
    assert "What changed" in page.locator('[data-part="versions"]').inner_text()
    assert StrategyVersion.objects.of(furnished.northwind).filter(strategy=row).count() == 2
    assert said == []
    context.close()
    pictures(
        browser, live_app, "bob",
        {"builder": f"/strategies/{row.uuid}/edit/", "why": f"/decisions/{fired.uuid}/",
         "strategy-own": f"/strategies/{row.uuid}/", "new-strategy": "/strategies/new/"},
    )  # fmt: skip


def test_without_scripts_rules_are_written_as_json_with_each_mistake_by_its_path(
    browser, live_app, furnished
):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 900})
    page = context.new_page()
    sign_in(page, live_app, "bob", scripts=False)
    page.goto(f"{live_app}/strategies/new/")
    assert "Pause an ad set when CPC is above" in page.locator("#read-back").inner_text()
    page.get_by_label("Name", exact=True).fill("By hand")
    page.locator("#json summary").click()
    text = page.get_by_label("Rules", exact=True)
    good = text.input_value()
    text.fill(good.replace('"20"', '"much"'))
    page.get_by_role("button", name="Save").click()
    assert "document.cases[0].when.all[1].than.number" in page.get_by_role("alert").inner_text()
    page.get_by_label("Rules", exact=True).fill(good)
    page.get_by_role("button", name="Check").click()
    assert "Pause an ad set when CPC is above" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="By hand").wait_for()
    page.goto(f"{live_app}/strategies/new/")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="What it would do now").wait_for()
    context.close()
