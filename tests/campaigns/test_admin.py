"""The operations site shows this floor's tables, searchable; spend limits are set there, and nothing else is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditLine
from campaigns.models import Campaign, Change, Envelope, LedgerLine
from campaigns.states import canonical_amount
from tests.campaigns.test_api import Caller

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


# --- limits are set here by what sets them for the API and the page


def limit_of(desk, scope="account", period="day"):
    return Envelope.everything.get(scope=scope, period=period, client=desk.agency.northwind)


def address(page, *args):
    return reverse(f"admin:campaigns_envelope_{page}", args=args)


def test_an_owner_sets_a_limit_with_its_line_in_ledger_and_audit(desk):
    http, row = browser(desk.agency.users.alice), limit_of(desk)
    before = canonical_amount(row.amount)
    answer = http.post(address("change", row.pk), {"amount": "750.50", "reason": "agreed by mail"})
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.amount, row.set_by, row.reason) == (
        Decimal("750.50"), desk.agency.users.alice, "agreed by mail",
    )  # fmt: skip
    line = LedgerLine.everything.filter(kind="limit").latest("seq")
    assert (line.field, line.before, line.after, line.note) == (
        "account limit, day", before, "750.50", "agreed by mail",
    )  # fmt: skip
    assert line.actor_id == str(desk.agency.users.alice.pk)
    audit = AuditLine.everything.get(verb="set_envelope")
    assert (audit.actor_id, audit.detail["after"]) == (desk.agency.users.alice.pk, "750.50")
    page = http.get(address("change", row.pk)).content.decode()
    assert f"Alice: {before} → 750.50 USD. agreed by mail" in page
    assert f"metaads: none → {before} USD. The default: 3 times" in page


def test_what_the_api_sets_stands_in_the_history_of_the_admin(desk):
    alice = Caller(desk.agency.users.alice)
    body = {"account_id": desk.account.act_id, "scope": "client", "period": "day", "amount": 900}
    assert alice.post("/api/envelopes", {**body, "reason": "season"}).status_code == 200
    row = limit_of(desk, "client")
    page = browser(desk.agency.users.alice).get(address("change", row.pk)).content.decode()
    assert page.count("→ 900 USD. season") == 1


@pytest.mark.parametrize(
    "sent, field, said",
    [
        ({"amount": ""}, "amount", "This limit can be changed, not taken away."),
        ({"amount": "-1"}, "amount", "A limit is an amount from 0 on."),
        ({"amount": "10.005"}, "amount", "is not a whole number of 0.01 USD"),
        ({"amount": "many"}, "amount", "Enter a number."),
        ({"reason": " "}, "reason", "This field is required."),
    ],
)
def test_a_refusal_stands_beside_its_field_and_sets_nothing(desk, sent, field, said):
    http, row = browser(desk.agency.users.alice), limit_of(desk)
    answer = http.post(address("change", row.pk), {"amount": "700", "reason": "agreed", **sent})
    assert answer.status_code == 200
    [told] = answer.context["adminform"].form.errors[field]
    assert said in told
    assert limit_of(desk).amount == row.amount
    assert not AuditLine.everything.filter(verb="set_envelope").exists()


def test_a_new_limit_is_added_and_taken_away_again(desk):
    http = browser(desk.agency.users.alice)
    body = {
        "ad_account": desk.account.pk, "scope": "campaign", "object_id": desk.campaign.meta_id,
        "period": "week", "amount": "500", "reason": "a test",
    }  # fmt: skip
    assert http.post(address("add"), {**body, "object_id": "12345"}).status_code == 200
    assert http.post(address("add"), {**body, "scope": "account", "period": "flight"}).context[
        "adminform"
    ].form.errors["period"] == ["Only a campaign or an ad set has a flight. Use month."]
    assert http.post(address("add"), body).status_code == 302
    row = limit_of(desk, "campaign", "week")
    assert (row.amount, row.currency, row.object_id) == (500, "USD", desk.campaign.meta_id)
    assert http.post(address("change", row.pk), {"amount": "", "reason": "over"}).status_code == 302
    assert not Envelope.everything.filter(scope="campaign").exists()
    assert LedgerLine.everything.filter(kind="limit").latest("seq").after == ""
    assert http.post(address("delete", limit_of(desk).pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("who, sees", [("bob", True), ("charlie", False)])
def test_who_may_not_set_limits_here_cannot_in_the_admin_either(desk, who, sees):
    """Bob buys for Northwind; Charlie manages another client."""
    http, row = browser(getattr(desk.agency.users, who)), limit_of(desk)
    answer = http.get(address("change", row.pk))
    assert (answer.status_code == 200) is sees
    assert http.post(address("change", row.pk), {"amount": "1", "reason": "x"}).status_code in (302, 403)
    body = {"ad_account": desk.account.pk, "scope": "account", "period": "day", "amount": "1", "reason": "x"}
    assert http.post(address("add"), body).status_code in (200, 403)
    assert limit_of(desk).amount == row.amount
