"""The operations site shows strategies' tables to staff, each only their clients', and edits nothing."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from strategies import cycle, drafts

pytestmark = pytest.mark.django_db
TABLES = ("strategy", "strategyversion", "decision", "proposal", "draft")


@pytest.fixture
def full(shop, strategy):
    cycle.run(strategy=strategy, now=shop.clock.now())
    drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())
    return shop


def browse(shop, who):
    browser = Browser()
    browser.force_login(getattr(shop.users, who))
    return browser


@pytest.mark.parametrize("table", TABLES)
def test_staff_find_and_open_every_row(full, table):
    browser = browse(full, "alice")
    page = browser.get(f"/admin/strategies/{table}/", {"q": "House" if table != "draft" else "figures"})
    assert page.status_code == 200
    rows = list(page.context["cl"].queryset)
    assert rows
    assert browser.get(f"/admin/strategies/{table}/{rows[0].pk}/change/").status_code == 200


@pytest.mark.parametrize("table", TABLES)
def test_another_clients_staff_see_no_row(full, table):
    page = browse(full, "charlie").get(f"/admin/strategies/{table}/")
    assert page.status_code == 200
    assert list(page.context["cl"].queryset) == []


@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_added_or_deleted_there(full, table):
    browser = browse(full, "alice")
    assert browser.get(f"/admin/strategies/{table}/add/").status_code == 403
    page = browser.get(f"/admin/strategies/{table}/")
    row = page.context["cl"].queryset[0]
    assert browser.post(f"/admin/strategies/{table}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert type(row).everything.filter(pk=row.pk).exists()
