"""The operations site shows this floor's tables, searchable, and lets nobody write them."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign, Change, LedgerLine

pytestmark = pytest.mark.django_db
TABLES = (
    "campaign adset ad creative syncrun change attempt observation ledgerline switch hold exposurerow".split()  # noqa: SIM905
)


def browser(user) -> Client:
    http = Client()
    http.force_login(user)
    return http


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_listed_and_cannot_be_added_to(desk, table):
    http = browser(desk.agency.users.alice)
    assert http.get(reverse(f"admin:campaigns_{table}_changelist"), {"q": "Teapots"}).status_code == 200
    assert http.get(reverse(f"admin:campaigns_{table}_add")).status_code == 403


@pytest.mark.parametrize("who, sees", [("alice", True), ("bob", True), ("charlie", False)])
def test_staff_see_their_clients_campaigns_only(desk, who, sees):
    page = browser(getattr(desk.agency.users, who)).get(reverse("admin:campaigns_campaign_changelist"))
    assert ("Teapots - Sales" in page.content.decode()) is sees


@pytest.mark.parametrize("what", ["its id", "Sales"])
def test_a_campaign_is_found_by_name_and_by_meta_s_id(desk, what):
    what = desk.campaign.meta_id if what == "its id" else what
    page = browser(desk.agency.users.alice).get(reverse("admin:campaigns_campaign_changelist"), {"q": what})
    assert desk.campaign.meta_id in page.content.decode()
    assert desk.other.meta_id not in page.content.decode()


@pytest.mark.parametrize("model", [Change, LedgerLine, Campaign])
def test_a_row_is_shown_and_neither_changed_nor_deleted(desk, model):
    desk.until(desk.approved("120"), "APPLIED")
    http, row = browser(desk.agency.users.alice), model.everything.first()
    name = f"admin:campaigns_{model._meta.model_name}"
    before = model.everything.filter(pk=row.pk).values().get()
    assert http.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert http.post(reverse(f"{name}_change", args=[row.pk]), {"state": "REJECTED"}).status_code == 403
    assert http.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert model.everything.filter(pk=row.pk).values().get() == before
