"""View as this client: what its viewer sees, nothing to change, always visible, always written down."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from accounts.acting import current
from accounts.models import AuditLine, Membership, Role
from accounts.policies import require_mfa
from metaads.clock import now
from tests.conftest import PASSWORD, START

pytestmark = pytest.mark.django_db
BAR = "You see what Northwind sees."


def browser_of(name):
    browser = Browser()
    assert browser.login(email=f"{name}@example.com", password=PASSWORD)
    return browser


def begin(name="alice", client="northwind"):
    browser = browser_of(name)
    answer = browser.post("/acting/start", {"client": client})
    assert (answer.status_code, answer["Location"]) == (302, f"/c/{client}/")
    return browser


def lines():
    rows = AuditLine.everything.filter(verb__startswith="act_as").order_by("pk")
    return list(rows.values_list("verb", "subject", "actor_kind"))


def test_an_owner_sees_that_client_as_its_viewer_does(synced):
    alice, vic = begin(), browser_of("vic")
    account = synced.ad_account.act_id
    for path in ("/c/northwind/", f"/a/{account}/", "/proposals/", "/ledger/", "/strategies/", "/alerts/"):
        ours, theirs = (one.get(path) for one in (alice, vic))
        assert ours.status_code == theirs.status_code == 200, path
        body = [page.content.decode().split('id="main"')[1].split("</main>")[0] for page in (ours, theirs)]
        mine, his = (text.replace(str(page), "") for text, page in zip(body, (ours, theirs), strict=True))
        assert without_tokens(mine) == without_tokens(his), path


def without_tokens(text):
    import re

    return re.sub(r'(csrfmiddlewaretoken" value|nonce)="[^"]*"', "", text)


def test_the_api_answers_as_to_the_viewer_and_no_other_client_exists(synced):
    alice, vic = begin(), browser_of("vic")
    account = synced.ad_account.act_id
    for path in (
        "/api/clients",
        f"/api/meta/performance/{account}",
        f"/api/meta/campaigns/{account}",
        "/api/changes?client=southwind",
        "/api/people?client=northwind",
        "/api/policies",
    ):
        ours, theirs = (one.get(path) for one in (alice, vic))
        assert ours.status_code == theirs.status_code, path
        if ours.status_code == 200:
            assert ours.json() == theirs.json(), path
    assert alice.get("/c/southwind/").status_code == 404
    assert [row["slug"] for row in alice.get("/api/clients").json()["clients"]] == ["northwind"]


def test_costs_and_profit_are_hidden_as_they_are_from_the_viewer(synced):
    path = f"/api/meta/performance/{synced.ad_account.act_id}?metrics=profit,spend"
    herself, acting, vic = browser_of("alice"), begin(), browser_of("vic")
    assert herself.get(path).status_code == 200
    for browser in (acting, vic):
        answer = browser.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "may_not_see_costs")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/stop", {"scope": "client", "client": "northwind", "reason": "fire"}),
        ("/api/clients", {"name": "New"}),
        ("/api/invitations", {"email": "x@example.com", "role": "owner"}),
        ("/api/policies", {"role": "viewer", "two_factor_required": True}),
    ],
)
def test_every_write_of_the_api_is_refused_with_a_clear_message(agency, clock, path, body):
    answer = begin().post(path, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "acting_read_only")
    assert "nothing can be changed" in answer.json()["detail"] and "Stop viewing" in answer.json()["advice"]


@pytest.mark.parametrize(
    "path",
    ["/connections/connect", "/acting/start", "/accounts/password/change/", "/two-factor/later", "/setup/"],
)
def test_every_write_of_a_page_is_refused_with_a_clear_page(agency, clock, path):
    answer = begin().post(path, {"client": "northwind"})
    text = answer.content.decode()
    assert answer.status_code == 403 and "nothing can be changed" in text and BAR in text


@pytest.mark.parametrize(
    "path", ["/admin/", "/accounts/2fa/", "/accounts/sessions/", "/api/meta-oauth/authorize-url"]
)
def test_the_admin_and_ones_own_pages_are_closed_meanwhile(agency, clock, path):
    assert begin().get(path).status_code == 403


@pytest.mark.parametrize("path", ["/c/northwind/", "/alerts/", "/c/southwind/", "/admin/"])
def test_the_bar_is_on_every_page_also_on_a_refusal(agency, clock, path):
    text = begin().get(path).content.decode()
    assert BAR in text and "Alice" in text and "Stop viewing as the client" in text


def test_the_button_ends_it(agency, clock):
    alice = begin()
    assert alice.post("/acting/stop")["Location"] == "/c/northwind/"
    text = alice.get("/c/northwind/").content.decode()
    assert BAR not in text and "/admin/" in text
    assert alice.get("/c/southwind/").status_code == 200


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_people_of_the_agency_may_at_the_clients_that_they_see(agency, clock, name):
    begin(name)


@pytest.mark.parametrize(
    ("name", "client", "status"),
    [("vera", "northwind", 403), ("vic", "northwind", 403), ("ivan", "northwind", 403),
     ("bob", "southwind", 404), ("charlie", "northwind", 404), ("alice", "no-such", 404)],
)  # fmt: skip
def test_others_may_not(agency, clock, name, client, status):
    browser = browser_of(name)
    assert browser.post("/acting/start", {"client": client}).status_code == status
    assert "acting" not in browser.session and lines() == []


def test_it_ends_after_an_hour(agency, clock):
    alice = begin()
    for _ in range(5):
        clock.advance(10 * 60)
        assert BAR in alice.get("/c/northwind/").content.decode()
    clock.advance(10 * 60)
    assert BAR not in alice.get("/c/northwind/").content.decode()
    assert alice.get("/c/southwind/").status_code == 200
    end = AuditLine.everything.get(verb="act_as_end")
    assert (end.at - START).total_seconds() == 3600 and end.detail == {"why": "over"}


def test_start_every_page_once_and_the_end_are_written_down(agency, clock):
    alice = begin("bob")
    for path in (
        "/c/northwind/",
        "/alerts/",
        "/alerts/",
        "/alerts/?part=nav",
        "/api/changes?client=northwind",
    ):
        assert alice.get(path).status_code == 200
    alice.post("/acting/stop")
    alice.get("/alerts/")
    assert lines() == [
        ("act_as_start", "northwind", "person"),
        ("act_as_page", "/c/northwind/", "acting"),
        ("act_as_page", "/alerts/", "acting"),
        ("act_as_page", "/api/changes?client=northwind", "acting"),
        ("act_as_end", "northwind", "person"),
    ]
    assert set(AuditLine.everything.values_list("actor_id", flat=True)) == {agency.users.bob.pk}


def test_signing_out_ends_it_and_is_written_down(agency, clock):
    alice = begin()
    alice.post("/accounts/logout/")
    end = AuditLine.everything.get(verb="act_as_end")
    assert end.detail == {"why": "session ended"}
    alice.login(email="alice@example.com", password=PASSWORD)
    assert BAR not in alice.get("/c/northwind/").content.decode()


def test_losing_the_role_ends_it(agency, clock):
    bob = begin("bob")
    Membership.objects.filter(user=agency.users.bob).update(role=Role.VIEWER)
    assert BAR not in bob.get("/c/northwind/").content.decode()
    assert lines()[-1][0] == "act_as_end"


def test_an_answer_under_way_does_not_bring_it_back(agency, clock):
    """The session goes on under a new key at both ends, so a slow request saves into nothing."""
    browser = browser_of("alice")
    before = browser.session.session_key
    browser.post("/acting/start", {"client": "northwind"})
    during = browser.session.session_key
    slow = browser.session  # a request that loaded the session while it was on
    browser.post("/acting/stop")
    after = browser.session.session_key
    assert len({before, during, after}) == 3
    assert not slow.exists(during)
    assert current(session=browser.session, user=agency.users.alice, now=now()) is None


def test_it_does_not_open_what_a_missing_second_factor_closes(agency, clock):
    bob = begin("bob")
    require_mfa(role=Role.BUYER, required=True, principal=agency.principals.alice, now=START)
    assert bob.get("/c/northwind/")["Location"] == "/two-factor/"
    assert bob.get("/api/changes?client=northwind").json()["code"] == "mfa_required"


def test_a_token_or_key_of_the_same_person_stays_their_own(agency, clock):
    from accounts.keys import issue

    begin("alice")
    _, key = issue(user=agency.users.alice, name="k", principal=agency.principals.alice, now=START)
    answer = Browser().get("/api/clients", headers={"X-API-Key": key})
    assert [row["slug"] for row in answer.json()["clients"]] == ["northwind", "southwind"]
