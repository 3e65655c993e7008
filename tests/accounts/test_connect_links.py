"""A link by e-mail lets a client's own person connect without an account here: once, in one browser, for a week."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.test import Client as Browser

from accounts import grants, links
from accounts.models import (
    AdAccount,
    AuditLine,
    ConnectLink,
    Membership,
    MetaConnection,
    OutboxMessage,
    PendingGrant,
    Role,
)
from tests.accounts.test_connect import Dance, code, nothing_stored
from tests.door import WSGIAdapter

BASE = "/api/meta-oauth"
GUEST = "carol@northwind.example"


class Guest(Dance):
    """Somebody without an account, who opens the address of the mail."""

    def __init__(self, box, path):
        self.web, self.path = Browser(), path
        self.meta = requests.Session()
        self.meta.mount("https://", WSGIAdapter(box))

    def start(self, **form):
        answer = self.web.post(self.path, form)
        if answer.status_code == 302:
            self.dialog = answer.headers["Location"]
            self.asked = {name: values[0] for name, values in parse_qs(urlsplit(self.dialog).query).items()}
        return answer


def invite(agency, email=GUEST, who="alice"):
    web = Browser()
    web.force_login(getattr(agency.users, who))
    return web.post(
        f"{BASE}/invite", {"client": "northwind", "email": email}, content_type="application/json"
    )


def mailed():
    """The path of the link in the newest mail."""
    body = OutboxMessage.everything.order_by("-pk")[0].body
    return urlsplit(re.search(r"http\S+/connections/connect/\S+", body)[0]).path


@pytest.fixture
def guest(agency, sandbox):
    assert invite(agency).status_code == 201
    return Guest(sandbox, mailed())


def test_the_mail_names_who_asks_for_what_and_holds_the_only_copy_of_the_link(agency, sandbox):
    answer = invite(agency)
    assert answer.status_code == 201
    mail = OutboxMessage.everything.get()
    assert (mail.address, mail.subject) == (GUEST, "Connect Meta for Northwind")
    for words in ("Alice (alice@example.com)", "the ads of Northwind", "25 November 2026, 15:00 UTC"):
        assert words in mail.body
    assert mailed() not in answer.content.decode()
    body = answer.json()
    assert (body["email"], body["client"], body["used_at"]) == (GUEST, "northwind", None)
    line = AuditLine.everything.get(verb="invite_to_connect")
    assert (line.subject, line.client) == (GUEST, agency.northwind)
    assert mailed() not in str(line.detail)


def test_the_page_names_agency_and_client_and_what_will_happen_without_a_sign_in(guest):
    answer = guest.web.get(guest.path)
    text = answer.content.decode()
    assert answer.status_code == 200
    for words in (
        "Northwind",
        "Alice",
        "alice@example.com",
        "Until you say yes, nothing is connected",
        "ads_read",
    ):
        assert words in text
    assert answer.headers["Cache-Control"].count("no-store")
    assert answer.headers["Referrer-Policy"] == "same-origin"
    # Looking (a mail scanner does it, too) uses nothing up.
    assert ConnectLink.everything.get().used_at is None


def test_a_guest_connects_and_is_thanked_and_never_sees_the_dashboard(guest, agency, sandbox):
    confirm = guest.to_confirm()
    page = guest.web.get(confirm).content.decode()
    assert "Connect Alice Agency to Northwind?" in page
    answer = guest.web.post(confirm, {"enable": sandbox.ad_accounts()}, follow=True)
    assert answer.redirect_chain == [(confirm, 302)]
    text = answer.content.decode()
    assert "Alice Agency is connected for Northwind." in " ".join(text.split())
    assert "/connections/" not in text.partition("<main")[2] and "/c/" not in text
    row = MetaConnection.everything.get()
    assert (row.client, row.state, row.connected_by) == (agency.northwind, "connected", agency.users.alice)
    assert AdAccount.everything.get().enabled
    assert ConnectLink.everything.get().used_at is not None
    line = AuditLine.everything.get(verb="connect")
    assert (line.actor_kind, line.actor_id) == ("guest", None)
    # Nothing of the product opens for them.
    for path in ("/", "/c/northwind/", "/connections/", "/api/meta/ad-accounts"):
        assert guest.web.get(path).status_code in (302, 401)


@pytest.mark.fault("F84")
def test_reloading_any_step_ends_at_the_same_thank_you(guest, sandbox):
    confirm = guest.to_confirm()
    guest.web.post(confirm)
    asked = len(sandbox.history)
    assert b"is connected for" in guest.web.get(confirm).content
    assert b"is connected for" in guest.web.post(confirm).content
    assert b"is connected for" in guest.web.get(guest.land().headers["Location"]).content
    assert (len(sandbox.history), MetaConnection.everything.count()) == (asked, 1)


def test_a_link_makes_one_connection(guest, sandbox):
    second = Guest(sandbox, guest.path)
    second.to_confirm(user="bob")
    guest.to_confirm()
    assert guest.web.post(guest.confirm).status_code == 302
    for answer in (second.web.get(second.confirm), second.web.post(second.confirm), second.start()):
        assert code(answer) == (409, "link_spent")
    assert code(Browser().get(guest.path)) == (409, "link_spent")
    assert [row.meta_user_name for row in MetaConnection.everything.all()] == ["Alice Agency"]


def test_a_guest_who_cancels_may_try_again_with_the_same_link(guest):
    guest.start()
    guest.decide("cancel")
    answer = guest.land()
    assert code(answer) == (403, "connect_denied")
    text = answer.content.decode()
    assert f'href="http://localhost:3000{guest.path}"' in text
    assert "Back to connections" not in text
    guest.to_confirm()
    assert guest.web.post(guest.confirm).status_code == 302


def test_when_meta_does_not_answer_the_link_is_not_used_up(guest, sandbox):
    guest.to_confirm()
    sandbox.faults.arm("dropped", {"path": "debug_token"}, times=None)
    assert code(guest.web.post(guest.confirm)) == (503, "connect_meta_down")
    assert ConnectLink.everything.get().used_at is None
    sandbox.faults.disarm()
    assert guest.web.post(guest.confirm).status_code == 302


@pytest.mark.fault("F81")
def test_the_log_in_belongs_to_the_browser_that_began_it(guest, agency):
    guest.start()
    guest.decide()
    stranger = Browser()
    assert code(guest.land(web=stranger)) == (403, "connect_signed_out")
    signed_in = Browser()
    signed_in.force_login(agency.users.bob)
    assert code(guest.land(web=signed_in)) == (403, "connect_state")
    confirm = guest.land().headers["Location"]
    assert stranger.get(confirm).headers["Location"].startswith("/accounts/login/")
    assert stranger.post(confirm).headers["Location"].startswith("/accounts/login/")
    assert signed_in.get(confirm).status_code == signed_in.post(confirm).status_code == 404
    assert nothing_stored()


def test_after_seven_days_it_opens_nothing(guest, clock):
    clock.advance(7 * 86_400)
    for answer in (guest.web.get(guest.path), guest.start()):
        assert code(answer) == (409, "link_spent")
    assert "Whoever sent you the link can send a new one." in answer.content.decode()


def test_a_log_in_that_was_begun_in_time_and_comes_back_too_late_is_refused(guest, clock):
    clock.advance(7 * 86_400 - 60)
    guest.start()
    clock.advance(61)
    guest.decide()
    assert code(guest.land()) == (409, "link_spent")
    assert not PendingGrant.everything.exists()


def test_it_can_be_withdrawn_even_while_the_dialog_is_open(guest, agency):
    guest.to_confirm()
    web = Browser()
    web.force_login(agency.users.alice)
    uuid = str(ConnectLink.everything.get().uuid)
    for _ in range(2):
        answer = web.post(f"{BASE}/withdraw", {"link_id": uuid}, content_type="application/json")
        assert (answer.status_code, answer.json()["withdrawn_at"]) == (200, "2026-11-18T15:00:00Z")
    assert AuditLine.everything.filter(verb="withdraw_connect_link").count() == 1
    for answer in (guest.web.get(guest.confirm), guest.web.post(guest.confirm), guest.start()):
        assert code(answer) == (409, "link_spent")
    assert nothing_stored()


def test_a_used_link_is_not_withdrawn(guest, agency):
    guest.to_confirm()
    guest.web.post(guest.confirm)
    web = Browser()
    web.force_login(agency.users.alice)
    uuid = str(ConnectLink.everything.get().uuid)
    answer = web.post(f"{BASE}/withdraw", {"link_id": uuid}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (409, "link_spent")


@pytest.mark.parametrize("loss", ["role", "deactivated", "client"])
def test_it_ends_with_the_right_of_whoever_sent_it(guest, agency, clock, loss):
    guest.to_confirm()
    if loss == "role":
        Membership.objects.filter(user=agency.users.alice).update(role=Role.BUYER, client=agency.northwind)
    elif loss == "deactivated":
        type(agency.users.alice).objects.filter(pk=agency.users.alice.pk).update(is_active=False)
    else:
        type(agency.northwind).objects.filter(pk=agency.northwind.pk).update(archived_at=clock.now())
    for answer in (guest.web.get(guest.path), guest.web.post(guest.confirm), guest.start()):
        assert code(answer) == (409, "link_spent")
    assert nothing_stored()


def test_a_second_link_to_the_same_address_takes_the_place_of_the_first(guest, agency):
    first = guest.path
    assert invite(agency).status_code == 201
    assert code(Browser().get(first)) == (409, "link_spent")
    assert Browser().get(mailed()).status_code == 200


def test_a_damaged_link_is_not_there(guest):
    answer = Browser().get(f"{guest.path[:-3]}xx/")
    assert answer.status_code in (302, 404)
    assert nothing_stored()


def test_only_who_may_connect_invites_and_withdraws(agency, guest):
    uuid = str(ConnectLink.everything.get().uuid)
    for name, status in (("bob", 403), ("vera", 403), ("vic", 403), ("ivan", 403), ("charlie", 404)):
        assert invite(agency, who=name).status_code == status
        web = Browser()
        web.force_login(getattr(agency.users, name))
        answer = web.post(f"{BASE}/withdraw", {"link_id": uuid}, content_type="application/json")
        assert answer.status_code == status
    assert ConnectLink.everything.get().withdrawn_at is None


@pytest.mark.parametrize("email", ["", "carol", "a@b@c", "carol@example.com\r\nBcc: eve@example.com"])
def test_what_is_no_address_gets_no_mail(agency, sandbox, email):
    answer = invite(agency, email=email)
    assert answer.status_code == 400
    assert not OutboxMessage.everything.exists() and not ConnectLink.everything.exists()


def test_a_client_has_twenty_open_links_at_most(agency, sandbox):
    for number in range(links.MOST_OPEN):
        assert invite(agency, email=f"p{number}@example.com").status_code == 201
    answer = invite(agency)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_links")


def test_old_links_and_used_grants_are_swept(guest, clock):
    guest.to_confirm()
    guest.web.post(guest.confirm)
    clock.advance(86_400 + 1200)
    grants.sweep(now=clock.now())
    assert not PendingGrant.everything.exists()
    assert code(Browser().get(guest.path)) == (409, "link_spent")
    clock.advance(40 * 86_400)
    grants.sweep(now=clock.now())
    assert not ConnectLink.everything.exists()


def test_a_grant_that_was_cut_short_keeps_no_token(guest, clock):
    guest.to_confirm()
    PendingGrant.everything.update(used_at=clock.now())  # killed in the middle
    clock.advance(1201)
    grants.sweep(now=clock.now())
    assert PendingGrant.everything.get().token == ""
