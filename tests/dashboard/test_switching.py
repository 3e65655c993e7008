"""From any page to any client and ad account by a link; the last choice is where `/` leads."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client as Browser

from accounts.access import principal_of
from accounts.acting import start
from accounts.clients import choose, last_choice
from accounts.errors import NotFound
from accounts.models import AdAccount, Client, Membership, User
from accounts.tenancy import Principal
from tests.conftest import PASSWORD, START


def account(client: Client, number: int, name: str, *, on: bool = True) -> AdAccount:
    return AdAccount.everything.create(
        client=client,
        meta_id=f"77{number:04d}",
        name=name,
        currency="USD",
        timezone_name="UTC",
        enabled_at=START if on else None,
    )


def signed_in(name: str) -> Browser:
    browser = Browser()
    assert browser.login(email=f"{name}@example.com", password=PASSWORD)
    return browser


@pytest.fixture
def shops(agency, clock):
    agency.first = account(agency.northwind, 1, "Apples")
    agency.second = account(agency.northwind, 2, "Berries")
    agency.foreign = account(agency.southwind, 3, "Cherries")
    return agency


def choice(name: str) -> tuple[str | None, str | None]:
    user = User.objects.select_related("last_client", "last_ad_account").get(email=f"{name}@example.com")
    return (
        user.last_client.slug if user.last_client else None,
        user.last_ad_account.name if user.last_ad_account else None,
    )


PAGES = (
    "/c/northwind/",
    "/a/act_770001/",
    "/proposals/",
    "/ledger/",
    "/strategies/",
    "/alerts/",
    "/connections/",
)


@pytest.mark.parametrize("address", PAGES)
def test_every_page_leads_to_every_ad_account_of_the_client(shops, address):
    account(shops.northwind, 4, "Dates", on=False)
    gone = account(shops.northwind, 5, "Elderberries")
    AdAccount.everything.filter(pk=gone.pk).update(archived_at=START)
    text = signed_in("bob").get(address).content.decode()
    menu = text[
        text.index('id="account-switcher"') : text.index("</details>", text.index("account-switcher"))
    ]
    assert [f"/a/act_77000{n}/" in menu for n in (1, 2, 3, 4, 5)] == [True, True, False, True, False]
    assert ">off<" in menu
    marked = menu.count('aria-current="true"')
    assert marked == (1 if address.startswith(("/a/", "/c/")) else 0)
    if address.startswith("/a/"):
        assert 'href="/a/act_770001/" data-words="Apples act_770001" aria-current="true"' in menu


def test_a_search_field_stands_above_many(shops):
    assert b"find-account" not in signed_in("bob").get("/alerts/").content
    for number in range(10, 17):
        account(shops.northwind, number, f"Shop {number}")
    assert b"find-account" in signed_in("bob").get("/alerts/").content


def test_a_client_with_very_many_sends_the_rest_when_asked(shops):
    for number in range(10, 90):
        account(shops.northwind, number, f"Shop {number}")
    bob = signed_in("bob")
    page = bob.get("/alerts/").content.decode()
    assert page.count('data-words="') == 40 and 'data-more="1"' in page
    assert "/connections/?client=northwind" in page  # without JavaScript: the whole list
    part = bob.get("/a/act_770002/?part=switcher", headers={"X-Poll": "1"}).content.decode()
    assert part.count('data-words="') == 82
    assert "Cherries" not in part and part.count("aria-current") == 1


def test_home_is_where_the_person_was_last(shops):
    bob, alice = signed_in("bob"), signed_in("alice")
    assert bob.get("/")["Location"] == "/c/northwind/"
    for address, there in [
        ("/a/act_770002/", "/a/act_770002/"),
        ("/c/northwind/", "/c/northwind/"),
        ("/ledger/?account=act_770001", "/a/act_770001/"),
        ("/alerts/?client=northwind", "/c/northwind/"),
    ]:
        assert bob.get(address).status_code == 200
        assert bob.get("/")["Location"] == there, address
    assert alice.get("/").status_code == 200  # two clients, nothing chosen yet: the list
    alice.get("/a/act_770003/")
    assert alice.get("/")["Location"] == "/a/act_770003/"
    assert alice.get("/clients/").status_code == 200  # the list has its own address
    assert choice("alice") == ("southwind", "Cherries")
    assert choice("bob") == ("northwind", None)


def test_the_choice_survives_signing_out(shops):
    signed_in("bob").get("/a/act_770002/")
    assert signed_in("bob").get("/")["Location"] == "/a/act_770002/"


def test_pages_without_a_name_in_their_address_choose_nothing(shops):
    bob = signed_in("bob")
    bob.get("/a/act_770001/")
    for address in ("/alerts/", "/proposals/", "/ledger/", "/strategies/", "/connections/", "/clients/"):
        bob.get(address)
    assert choice("bob") == ("northwind", "Apples")


@pytest.mark.parametrize(
    "address, headers",
    [
        ("/a/act_770002/", {"X-Poll": "1"}),
        ("/a/act_770002/?part=kpis", {}),
        ("/a/act_770002/?part=switcher", {}),
        ("/a/act_770002/?part=nav", {}),
        ("/a/act_770002/", {"Sec-Purpose": "prefetch;prerender"}),
    ],
)
def test_polls_parts_and_prefetches_are_no_choice(shops, address, headers):
    bob = signed_in("bob")
    bob.get("/a/act_770001/")
    assert bob.get(address, headers=headers).status_code == 200
    assert choice("bob") == ("northwind", "Apples")


def test_a_refused_page_is_no_choice(shops):
    bob = signed_in("bob")
    bob.get("/a/act_770001/")
    assert bob.get("/a/act_770003/").status_code == 404
    assert bob.get("/a/act_770002/?period=century").status_code == 400
    assert choice("bob") == ("northwind", "Apples")


def test_who_acts_as_somebody_else_chooses_nothing(shops):
    alice = shops.users.alice
    acting = Principal(
        "acting", alice.pk, "Alice", roles=((shops.northwind.pk, "viewer"),), scopes=frozenset()
    )
    assert not choose(user=alice, principal=acting, client=shops.northwind, ad_account=shops.first)
    assert choice("alice") == (None, None)
    choose(user=alice, principal=principal_of(alice), client=shops.southwind, ad_account=None)
    assert last_choice(acting) is None
    assert last_choice(principal_of(alice)).client == shops.southwind


def test_a_browser_that_views_as_a_client_chooses_nothing(shops, clock):
    alice = signed_in("alice")
    alice.get("/a/act_770003/")
    session = alice.session
    start(
        session=session,
        client=shops.northwind,
        principal=principal_of(shops.users.alice),
        now=clock.now(),
    )
    session.save()
    alice.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    assert alice.get("/a/act_770001/").status_code == 200
    assert alice.get("/a/act_770003/").status_code == 404  # it is the client's eyes that look
    assert choice("alice") == ("southwind", "Cherries")
    assert alice.get("/")["Location"] == "/c/northwind/"


def test_what_is_not_theirs_any_more_is_no_choice(shops):
    bob = signed_in("bob")
    bob.get("/a/act_770002/")
    AdAccount.everything.filter(name="Berries").update(archived_at=START)
    assert bob.get("/")["Location"] == "/c/northwind/"
    bob.get("/a/act_770001/")
    AdAccount.everything.filter(name="Apples").update(client=shops.southwind)
    assert bob.get("/")["Location"] == "/c/northwind/"
    Membership.objects.filter(user=shops.users.bob).update(client=shops.southwind)
    assert bob.get("/")["Location"] == "/c/southwind/"
    Membership.objects.filter(user=shops.users.bob).delete()
    answer = bob.get("/")
    assert answer.status_code == 200 and b"Northwind" not in answer.content


def test_an_archived_client_is_no_choice(shops):
    alice = signed_in("alice")
    alice.get("/c/southwind/")
    Client.objects.filter(slug="southwind").update(archived_at=START)
    assert alice.get("/")["Location"] == "/c/northwind/"


def test_a_client_of_others_cannot_be_chosen(shops):
    bob = shops.users.bob
    with pytest.raises(NotFound):
        choose(user=bob, principal=principal_of(bob), client=shops.southwind, ad_account=None)
    assert choice("bob") == (None, None)


def test_the_same_page_again_writes_nothing(shops, django_assert_num_queries):
    bob = shops.users.bob
    who = principal_of(bob)
    assert choose(user=bob, principal=who, client=shops.northwind, ad_account=shops.first)
    with django_assert_num_queries(0):
        assert not choose(user=bob, principal=who, client=shops.northwind, ad_account=shops.first)
