"""Alice owns the agency, Bob buys for Northwind, Charlie manages Southwind: each sees what is theirs."""

import pytest

from accounts import access, alerts, audit
from accounts.errors import Forbidden, Invalid, NotFound
from accounts.models import AdAccount, Alert, AuditLine, MetaConnection, PendingGrant
from accounts.tenancy import NOBODY, Tenant, Unscoped
from tests.conftest import START


@pytest.fixture
def accounts(agency):
    made = {}
    for number, client in enumerate((agency.northwind, agency.southwind), start=1):
        made[client.slug] = AdAccount.everything.create(
            client=client, meta_id=str(number), name=f"{client} ads", currency="USD", timezone_name="UTC"
        )
        MetaConnection.everything.create(
            client=client,
            meta_user_id=f"9{number}",
            meta_user_name=f"{client} person",
            token="t",
            connected_at=START,
        )
    return made


@pytest.mark.parametrize("model", [m for m in Tenant.__subclasses__() if m.__module__ == "accounts.models"])
def test_a_tenants_table_refuses_to_answer_without_knowing_for_whom(db, model):
    for read in (model.objects.all, model.objects.count, lambda: model.objects.filter(pk=1)):
        with pytest.raises(Unscoped):
            read()


def test_each_principal_sees_the_rows_of_its_clients_only(agency, accounts):
    seen = {
        name: sorted(
            AdAccount.objects.for_(getattr(agency.principals, name)).values_list("meta_id", flat=True)
        )
        for name in ("alice", "bob", "vic", "charlie")
    }
    assert seen == {"alice": ["1", "2"], "bob": ["1"], "vic": ["1"], "charlie": ["2"]}
    assert list(AdAccount.objects.for_(NOBODY)) == []


def test_a_foreign_ad_account_answers_exactly_like_a_random_one(client, agency, accounts):
    client.force_login(agency.users.charlie)
    ours = client.get("/api/meta/ad-accounts").json()["ad_accounts"]
    assert [row["id"] for row in ours] == ["act_2"]
    answers = []
    for ref in ("act_1", "act_999"):
        answer = client.post(f"/api/meta/ad-accounts/{ref}/enable")
        body = answer.json()
        body.pop("request_id"), body.pop("instance")
        answers.append((answer.status_code, body))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_no_page_or_answer_to_charlie_holds_northwinds_names(client, agency, accounts):
    client.force_login(agency.users.charlie)
    for path in ("/api/meta/ad-accounts", "/api/meta/validate-token", "/api/meta/user-info"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "northwind" not in answer.content.decode().lower()
        named = client.get(path, {"client": "northwind"})
        assert named.status_code == 404
        assert "Northwind" not in named.content.decode()


def test_without_client_an_owner_of_two_is_told_which_there_are(client, agency):
    client.force_login(agency.users.alice)
    answer = client.get("/api/meta/validate-token")
    assert answer.status_code == 400
    assert answer.json()["code"] == "client_required"
    assert "northwind, southwind" in answer.json()["advice"]
    assert client.get(f"/api/meta/validate-token?client={agency.northwind.uuid}").status_code == 200


def test_the_table_of_verbs_is_closed(agency):
    for principal in vars(agency.principals).values():
        assert not access.may(principal, "fly", agency.northwind)


@pytest.mark.parametrize(
    "who, verb, allowed",
    [
        ("alice", "connect", True),
        ("bob", "connect", False),
        ("bob", "request_change", True),
        ("vic", "view", True),
        ("vic", "approve", False),
        ("vera", "approve", True),
        ("ivan", "comment", False),
        ("ivan", "request_change", True),
    ],
)
def test_roles_may_what_the_table_says(agency, who, verb, allowed):
    principal = getattr(agency.principals, who)
    if allowed:
        access.require(principal, verb, agency.northwind)
    else:
        with pytest.raises(Forbidden):
            access.require(principal, verb, agency.northwind)


def test_another_clients_manager_gets_not_found_rather_than_forbidden(agency):
    with pytest.raises(NotFound):
        access.require(agency.principals.charlie, "view", agency.northwind)


def test_a_switched_off_user_is_nobody(agency):
    agency.users.bob.is_active = False
    assert access.principal_of(agency.users.bob) == NOBODY
    with pytest.raises(NotFound):
        access.client(access.principal_of(agency.users.bob))


def test_client_names_nothing_that_is_not_visible(agency):
    with pytest.raises(NotFound):
        access.client(agency.principals.charlie, "northwind")
    assert access.client(agency.principals.charlie) == agency.southwind
    with pytest.raises(Invalid):
        access.client(agency.principals.alice)


def test_alerts_and_the_audit_trail_are_scoped_too(agency):
    for client in (agency.northwind, agency.southwind, None):
        alerts.open_(client=client, key="k", title=str(client), advice="", severity="info", now=START)
        audit.record(principal=agency.principals.alice, client=client, verb="v", subject="s", now=START)
    assert [a.title for a in alerts.open_alerts(agency.principals.bob)] == ["Northwind"]
    assert len(alerts.open_alerts(agency.principals.alice)) == 3
    assert AuditLine.objects.for_(agency.principals.charlie).count() == 1
    assert Alert.objects.of(agency.northwind).count() == 1
    assert PendingGrant.objects.for_(agency.principals.bob).count() == 0
