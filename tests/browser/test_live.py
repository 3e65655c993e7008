"""Signed in at a real browser: figures move without a reload, and a change is called applied only when it is."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from dashboard.pages.tiles import period
from insights.analytics import totals
from tests.browser.conftest import sign_in, until
from tests.walks.desk import control, until_quiet, writes

pytestmark = pytest.mark.chromium


def spend_today(world, clock) -> str:
    from insights.analytics import account_today

    today = account_today(world.ad_account, clock.now())
    found = totals(world.ad_account, since=today, until=today, metrics=("spend",), now=clock.now())
    return f"{found.values['spend']:,.2f}"


def refresh(world, clock) -> None:
    """What the tick does for an account that moved: read it again, store, announce."""
    from insights.fetch import refresh as fetch_again

    fetch_again(ad_account=world.ad_account, now=clock.now())


def test_the_shown_figure_is_the_readers_and_moves_only_when_the_data_does(
    page, console, live_app, furnished, clock
):
    sign_in(page, live_app, "bob")
    page.goto(f"{live_app}/a/{furnished.ad_account.act_id}/")
    page.locator('#live[data-state="live"]').wait_for()
    shown = page.locator('[data-key="today-spend"] .num')
    first = spend_today(furnished, clock)
    assert shown.inner_text().startswith(first)
    week = period(furnished.ad_account, "last_7d", clock.now())
    sums = totals(
        furnished.ad_account, since=week.since, until=week.until, metrics=("spend",), now=clock.now()
    )
    assert page.locator('[data-key="spend"] .num').inner_text().startswith(f"{sums.values['spend']:,.2f}")
    assert page.locator(f'[data-version="{sums.header.data_version}"]').count()

    refresh(furnished, clock)  # the sandbox stands still: reading again changes nothing
    page.wait_for_timeout(700)
    assert shown.inner_text().startswith(first)

    clock.advance(timedelta(minutes=25).total_seconds())
    refresh(furnished, clock)
    later = spend_today(furnished, clock)
    assert later != first
    page.locator('[data-key="today-spend"] .num', has_text=later).wait_for(timeout=8000)
    assert page.locator('[data-key="today-spend"]').get_attribute("class") is not None
    assert console == []


def approve_in(page, live_app, furnished) -> None:
    sign_in(page, live_app, "vera")
    page.goto(f"{live_app}/proposals/{furnished.proposal.uuid}/")
    page.get_by_role("button", name="Approve exactly this").click()
    page.locator('[data-proposal-state="approved"]').wait_for(timeout=8000)


def test_an_approver_follows_a_change_from_requested_to_applied(
    page, console, live_app, furnished, sandbox, clock
):
    approve_in(page, live_app, furnished)
    assert page.locator('[data-state="APPLIED"]').count() == 0
    assert page.locator(".step.done .step-label").last.inner_text() == "Approved"
    until_quiet(clock)
    page.locator('[data-state="APPLIED"]').wait_for(timeout=8000)
    page.locator('[data-proposal-state="done"]').wait_for(timeout=8000)
    assert page.locator(".step.done").count() == 4
    assert len(writes(sandbox, furnished.change.object_id)) == 1
    page.get_by_role("link", name="The whole story, line by line").click()
    lines = page.locator(".timeline li")
    lines.first.wait_for()
    text = page.locator("main").inner_text()
    assert "applied" in text and "Vera" in text
    page.goto(f"{live_app}/ledger/")
    assert page.locator('tbody [data-state="APPLIED"]').count() == 1
    assert console == []


@pytest.mark.parametrize("fault", ["lying_success", "applied_timeout"])
def test_nothing_is_called_applied_before_it_was_read_back(page, live_app, furnished, sandbox, clock, fault):
    from campaigns.models import Change
    from campaigns.tasks import sweep

    control(sandbox, "POST", "faults", name=fault, match={"method": "POST"}, times=1)
    approve_in(page, live_app, furnished)
    seen = set()
    for _ in range(240):
        sweep()
        state = Change.everything.get(pk=furnished.change.pk).state
        if state not in seen:
            seen.add(state)
            page.reload()
            page.locator(".steps").wait_for()
            shown = page.locator("[data-state]").evaluate_all("all => all.map(one => one.dataset.state)")
            assert ("APPLIED" in shown) == (state == "APPLIED"), (state, shown)
            assert (page.locator(".step.done").count() == 4) == (state == "APPLIED")
        if state in ("APPLIED", "NEEDS_HUMAN", "FAILED", "SUPERSEDED"):
            break
        clock.advance(1)
    assert writes(sandbox, furnished.change.object_id), "the write was sent"
    assert len(seen) > 1


def test_a_page_reads_without_javascript_and_says_what_needs_it(browser, live_app, furnished):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_app, "bob", scripts=False)
    page.goto(f"{live_app}/a/{furnished.ad_account.act_id}/")
    assert re.search(r"\d", page.locator('[data-key="spend"]').inner_text())
    assert page.locator(".plot svg path.line").count() > 0
    page.goto(f"{live_app}/proposals/{furnished.proposal.uuid}/")
    assert page.get_by_text("Answering needs JavaScript").is_visible()
    context.close()


def test_blocked_sockets_fall_back_to_asking(browser, live_app, furnished, clock):
    context = browser.new_context()
    context.route_web_socket(re.compile(r"/ws/live/"), lambda socket: socket.close())
    page = context.new_page()
    sign_in(page, live_app, "bob")
    page.goto(f"{live_app}/a/{furnished.ad_account.act_id}/")
    page.locator('#live[data-state="polling"]').wait_for()
    clock.advance(timedelta(minutes=25).total_seconds())
    refresh(furnished, clock)
    page.evaluate(
        "document.dispatchEvent(new Event('visibilitychange'))"
    )  # as when a person comes back to the tab
    page.locator('[data-key="today-spend"] .num', has_text=spend_today(furnished, clock)).wait_for(
        timeout=8000
    )
    context.close()


def test_the_kill_switch_stops_the_client_and_everybody_is_told(page, console, live_app, furnished):
    from campaigns.models import Switch

    sign_in(page, live_app, "vera")
    page.get_by_label("Stop changes: kill switch").click()
    page.get_by_label(re.compile("^Why")).fill("Wrong prices in the shop")
    page.get_by_role("button", name="Stop all changes").click()
    page.get_by_text("Changes at Northwind are stopped").wait_for()
    assert Switch.everything.filter(released_at__isnull=True).count() == 1
    assert (
        page.get_by_role("button", name="Let changes pass again").count() == 0
    )  # an approver stops, a manager releases
    assert console == []


def test_a_stop_reaches_a_page_that_is_open_already_and_the_count_falls_with_an_approval(
    browser, page, live_app, furnished
):
    sign_in(page, live_app, "vera")
    page.locator('#live[data-state="live"]').wait_for()
    before = int(page.locator('[data-nav="proposals"]').inner_text().split()[0])
    context = browser.new_context()
    other = context.new_page()
    approve_in(other, live_app, furnished)
    if before > 1:
        page.locator('[data-nav="proposals"]', has_text=str(before - 1)).wait_for(timeout=8000)
    else:
        page.locator('[data-nav="proposals"]').wait_for(state="detached", timeout=8000)
    other.get_by_label("Stop changes: kill switch").click()
    other.get_by_label(re.compile("^Why")).fill("Shop is down")
    other.get_by_role("button", name="Stop all changes").click()
    page.get_by_text("Shop is down").wait_for(timeout=8000)
    context.close()


def test_a_buyer_asks_for_a_budget_and_a_pause_and_sees_each_confirmed(
    page, console, live_app, synced, sandbox, clock
):
    from campaigns.models import Campaign

    campaign = Campaign.objects.of(synced.northwind).filter(daily_budget__isnull=False).order_by("pk").first()
    cut = campaign.daily_budget - 10
    sign_in(page, live_app, "bob")
    page.goto(f"{live_app}/a/{synced.ad_account.act_id}/campaigns/{campaign.meta_id}/")
    page.get_by_label("New daily budget").fill(f"{cut:f}")
    page.get_by_label("Why", exact=True).fill("Less stock")
    page.get_by_role("button", name="Request this budget").click()
    page.get_by_text("Requested. The new budget stands when Meta has confirmed it.").wait_for()
    page.locator(".on-the-way").first.wait_for(timeout=8000)
    until_quiet(clock)
    page.locator(".control .facts", has_text=f"{cut:,.2f}").wait_for(timeout=8000)
    assert len(writes(sandbox, campaign.meta_id)) == 1

    page.get_by_role("button", name="Pause this campaign").click()
    page.get_by_text("Requested. It shows as paused when Meta has confirmed it.").wait_for()
    until_quiet(clock)
    page.locator(".control .facts .badge", has_text="Paused").wait_for(timeout=8000)
    page.get_by_label("New daily budget").fill("0.01")
    page.get_by_role("button", name="Request this budget").click()
    page.locator(".act-answer.poor").wait_for()  # refused, with what to do
    assert [one for one in console if "409" not in one and "400" not in one] == []


def test_what_is_typed_stays_when_the_part_is_read_again_and_a_tick_is_given_anew(page, live_app, synced):
    from campaigns.models import Campaign

    campaign = Campaign.objects.of(synced.northwind).filter(daily_budget__isnull=False).order_by("pk").first()
    sign_in(page, live_app, "bob")
    page.goto(f"{live_app}/a/{synced.ad_account.act_id}/campaigns/{campaign.meta_id}/")
    page.get_by_label("New daily budget").fill("12.50")
    page.locator("#large").check()
    page.evaluate("window.before = document.getElementById('budget'); document.activeElement.blur()")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(page, "document.getElementById('budget') !== window.before")
    expect(page.get_by_label("New daily budget")).to_have_value("12.50")
    expect(page.locator("#large")).not_to_be_checked()
