"""The state of a connection: what ends it, what only casts doubt, what heals. The table is complete."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import connections, tokens
from accounts.errors import Conflict, NoConnection
from accounts.models import READABLE, AdAccount, AuditLine, ConnectionState, GrantedAsset, MetaConnection
from metaads.graph.errors import Answer, Kind, classify, error_for
from tests.conftest import START, grant

LATER = START + timedelta(minutes=1)
S = ConnectionState


def graph_error(code, subcode=None, status=400, transient=False):
    sub = f',"error_subcode":{subcode}' if subcode else ""
    passing = ',"is_transient":true' if transient else ""
    body = f'{{"error":{{"message":"m","code":{code}{sub}{passing}}}}}'.encode()
    return error_for(classify(status=status, content_type="application/json", body=body, headers={}))


@pytest.fixture
def account(agency):
    account = AdAccount.everything.create(
        client=agency.northwind,
        meta_id="1",
        name="a",
        currency="USD",
        timezone_name="UTC",
        enabled_at=START,
    )
    grant(account, token="EAAtoken", checked_at=START - timedelta(days=1))
    return account


def row(account):
    return MetaConnection.everything.get(pk=account.connection_id)


def state(account):
    return row(account).state


def failed(account, error, now=START, token="EAAtoken"):
    tokens.auth_failed(ad_account=account, token=token, error=error, now=now)


def worked(account, now=LATER):
    tokens.worked(connection=row(account), now=now)


@pytest.mark.parametrize("subcode", [458, 460, 463, 464, 467])
def test_one_definite_subcode_ends_the_connection(account, subcode):
    failed(account, graph_error(190, subcode))
    assert state(account) == S.REAUTH_NEEDED
    for use in (lambda: tokens.reader(account), lambda: tokens.write_token(account)):
        with pytest.raises(NoConnection, match="Reconnect"):
            use()


PASSING = [
    graph_error(1, status=500),
    graph_error(2, status=503),
    graph_error(80004, 2446079),
    graph_error(4),
    graph_error(17),
    graph_error(100, transient=True),
    error_for(classify(status=429, content_type="text/html", body=b"", headers={})),
    error_for(classify(status=502, content_type="text/html", body=b"<html>", headers={})),
    error_for(classify(status=200, content_type="application/json", body=b'{"cut', headers={})),
    error_for(Answer(Kind.TRANSIENT, rule="not_connected", sent=False)),
    error_for(Answer(Kind.UNKNOWN, rule="timed_out")),
]
#: A permission that is missing is no matter of the token: to connect again would not bring it.
MISSING = [
    graph_error(100, 33),
    graph_error(100),
    graph_error(200),
    graph_error(10),
    graph_error(294),
    graph_error(3),
]


@pytest.mark.parametrize("error", PASSING + MISSING, ids=str)
def test_whatever_passes_or_lacks_a_permission_never_touches_a_connection(account, error):
    for minute in range(10):
        failed(account, error, START + timedelta(minutes=minute))
    assert (state(account), row(account).reason) == (S.CONNECTED, "")


@pytest.mark.django_db
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PASSING), st.integers(0, 3600)), max_size=30),
    st.sampled_from([458, 460, 463, 464, 467]),
)
def test_no_sequence_of_transient_failures_ends_a_connection_and_one_definite_subcode_does(sequence, subcode):
    from django.db import transaction

    from tests.conftest import found_agency

    with transaction.atomic():
        account = AdAccount.everything.create(
            client=found_agency().northwind,
            meta_id="1",
            name="a",
            currency="USD",
            timezone_name="UTC",
            enabled_at=START,
        )
        grant(account, token="EAAtoken")
        now = START
        for error, seconds in sequence:
            now += timedelta(seconds=seconds)
            failed(account, error, now)
            assert state(account) == S.CONNECTED
        failed(account, graph_error(190, subcode), now)
        assert state(account) == S.REAUTH_NEEDED
        transaction.set_rollback(True)


def test_an_unclear_auth_answer_casts_doubt_and_freezes_writes_but_not_reads(account):
    failed(account, graph_error(190))
    assert state(account) == S.DEGRADED
    tokens.reader(account)
    with pytest.raises(NoConnection):
        tokens.write_token(account)


def test_a_second_unclear_answer_later_ends_it(account):
    failed(account, graph_error(190))
    failed(account, graph_error(102), LATER)
    assert state(account) == S.REAUTH_NEEDED


def test_many_calls_failing_together_are_one_observation(account):
    for second in range(20):
        failed(account, graph_error(190), START + timedelta(seconds=second))
    assert state(account) == S.DEGRADED


def test_a_good_answer_heals_and_the_count_begins_anew(account):
    failed(account, graph_error(190))
    worked(account)
    assert state(account) == S.CONNECTED
    failed(account, graph_error(190), LATER + timedelta(minutes=1))
    assert state(account) == S.DEGRADED


def test_an_answer_to_an_older_token_says_nothing_about_the_connection(account):
    failed(account, graph_error(190, 463), token="EAAolder")
    assert state(account) == S.CONNECTED


def test_a_doubt_that_is_over_leads_back_to_expiring_where_the_end_is_near(account):
    MetaConnection.everything.update(
        state=S.DEGRADED, auth_failures=1, expires_at=START + timedelta(days=2), reason="m"
    )
    worked(account)
    assert state(account) == S.EXPIRING and "ends on 20 Nov 2026" in row(account).reason


# --- the table: what each event makes of each state

DAYS = timedelta(days=1)
NEAR = {"expires_at": START + 2 * DAYS}
PAST = {"expires_at": START - DAYS}


def pause(account, agency):
    connections.pause(connection=row(account), principal=agency.principals.alice, now=START)


def resume(account, agency):
    connections.resume(connection=row(account), principal=agency.principals.alice, now=START)


def disconnect(account, agency):
    connections.disconnect(connection=row(account), principal=agency.principals.alice, now=START)


def at_meta(deleting):
    return lambda account, agency: connections.ended_at_meta(
        meta_user_id=row(account).meta_user_id, deleting=deleting, now=START
    )


def check(account, agency):
    connections.validate(connection=row(account), now=START)


EVENTS = {
    "good answer": lambda account, agency: worked(account),
    "transient": lambda account, agency: failed(
        account, graph_error(2, status=500), token=row(account).token
    ),
    "throttled": lambda account, agency: failed(account, graph_error(4), token=row(account).token),
    "not permitted": lambda account, agency: failed(account, graph_error(200), token=row(account).token),
    "unclear": lambda account, agency: failed(account, graph_error(190), token=row(account).token),
    "definite": lambda account, agency: failed(account, graph_error(190, 460), token=row(account).token),
    "checked good": check,
    "checked near its end": check,
    "checked bad": check,
    "check unanswered": check,
    "pause": pause,
    "resume": resume,
    "disconnect": disconnect,
    "removed at Meta": at_meta(deleting=False),
    "deletion asked": at_meta(deleting=True),
}
_LIVE = {
    "transient": None,
    "throttled": None,
    "not permitted": None,
    "unclear": S.DEGRADED,
    "definite": S.REAUTH_NEEDED,
    "checked good": S.CONNECTED,
    "checked near its end": S.EXPIRING,
    "checked bad": S.REAUTH_NEEDED,
    "check unanswered": None,
    "pause": S.PAUSED,
    "resume": None,
    "disconnect": S.REVOKED,
    "removed at Meta": S.REVOKED,
    "deletion asked": S.DELETING,
}
_OVER = dict.fromkeys(EVENTS) | {"pause": Conflict, "resume": Conflict, "deletion asked": S.DELETING}
_REVOKED = {"disconnect": S.REVOKED, "removed at Meta": S.REVOKED}
#: state -> event -> the next state; None: as it was; an exception: refused.
TABLE = {
    S.CONNECTED: {**_LIVE, "good answer": None},
    S.DEGRADED: {**_LIVE, "good answer": S.CONNECTED, "unclear": S.REAUTH_NEEDED},
    S.EXPIRING: {**_LIVE, "good answer": None},
    S.REAUTH_NEEDED: {
        **_OVER,
        **_REVOKED,
        "checked good": S.CONNECTED,
        "checked near its end": S.EXPIRING,
    },
    S.REVOKED: {**_OVER},
    S.PAUSED: {**_OVER, **_REVOKED, "checked bad": S.REAUTH_NEEDED, "pause": None, "resume": S.CONNECTED},
    S.DELETING: {**_OVER},
}


def test_the_table_names_every_state_and_every_event():
    assert set(TABLE) == set(S)
    assert all(set(events) == set(EVENTS) for events in TABLE.values())


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("before", list(S), ids=str)
def test_each_event_leads_from_each_state_where_the_table_says(connected, sandbox, clock, before, event):
    account = connected.ad_account
    facts = {"auth_failures": 1, "checked_at": START - DAYS} if before == S.DEGRADED else {}
    if before in (S.REVOKED, S.DELETING):
        facts["token"] = ""
    MetaConnection.everything.update(state=before, **facts)
    if event == "checked near its end":
        clock.set(row(account).expires_at - 2 * DAYS)
    if event == "checked bad":
        sandbox.control.handle("POST", "revoke", {"user": "alice", "subcode": "460"})
    if event == "check unanswered":
        sandbox.faults.arm("transient", {"path": "debug_token"}, times=None)
    wanted = TABLE[before][event]
    act = (
        EVENTS[event]
        if event != "checked near its end"
        else (lambda account, agency: connections.validate(connection=row(account), now=clock.now()))
    )
    if isinstance(wanted, type):
        with pytest.raises(wanted):
            act(account, connected)
        wanted = None
    else:
        act(account, connected)
    assert state(account) == (wanted or before)


def test_a_good_answer_does_not_revive_what_is_over(account):
    for over in (S.REVOKED, S.REAUTH_NEEDED, S.PAUSED):
        MetaConnection.everything.update(state=over)
        worked(account)
        failed(account, graph_error(190), LATER)
        assert state(account) == over


@pytest.mark.parametrize("value", [state for state in S if state not in READABLE])
def test_no_token_leaves_in_any_other_state(account, value):
    MetaConnection.everything.update(state=value)
    for use in (tokens.reader, tokens.write_token):
        with pytest.raises(NoConnection):
            use(account)


def test_a_held_connection_gives_no_token_until_meta_has_answered_for_it(connected, clock):
    MetaConnection.everything.update(held=True)
    for use in (tokens.reader, tokens.write_token):
        with pytest.raises(NoConnection, match="restored from a backup"):
            use(connected.ad_account)
    connections.validate(connection=row(connected.ad_account), now=clock.now())
    assert tokens.reader(connected.ad_account) and tokens.write_token(connected.ad_account)


def test_a_held_connection_stays_held_while_meta_does_not_answer(connected, sandbox, clock):
    MetaConnection.everything.update(held=True)
    sandbox.faults.arm("dropped", {"path": "debug_token"}, times=None)
    connections.validate(connection=row(connected.ad_account), now=clock.now())
    assert row(connected.ad_account).held
    with pytest.raises(NoConnection):
        tokens.reader(connected.ad_account)


@pytest.mark.parametrize("value", list(S), ids=str)
def test_automation_freezes_in_every_state_but_connected(account, clock, value):
    MetaConnection.everything.update(state=value)
    if value == S.CONNECTED:
        assert tokens.write_token(account, automated=True) == "EAAtoken" and tokens.why_frozen(account) == ""
        return
    with pytest.raises(NoConnection):
        tokens.write_token(account, automated=True)
    assert S(value).label.lower() in tokens.why_frozen(account)


def test_automation_freezes_for_an_account_that_nobody_heard_of_for_six_hours(account, clock):
    AdAccount.everything.update(last_contact_at=clock.now())
    clock.advance(6 * 3600 - 1)
    assert tokens.write_token(account, automated=True) == "EAAtoken"
    clock.advance(1)
    with pytest.raises(NoConnection, match="Nothing was heard of act_"):
        tokens.write_token(account, automated=True)
    assert "Nothing was heard" in tokens.why_frozen(account)
    assert tokens.write_token(account) == "EAAtoken", "a person may"
    AdAccount.everything.update(last_contact_at=clock.now())
    assert tokens.write_token(account, automated=True) == "EAAtoken"


def test_a_person_may_still_write_while_the_connection_is_expiring(account):
    MetaConnection.everything.update(state=S.EXPIRING)
    assert tokens.write_token(account) == "EAAtoken"


def test_a_disconnect_is_felt_by_a_row_that_was_loaded_before(account):
    tokens.write_token(account)
    MetaConnection.everything.update(state=S.REVOKED, token="")
    with pytest.raises(NoConnection):
        tokens.write_token(account)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scopes": ["ads_read"]}, "read-only"),
        ({"tasks": ["ANALYZE"]}, "may not change ads"),
        ({"enabled_at": None}, "switched off"),
    ],
)
def test_writing_needs_scope_task_and_an_enabled_account(account, change, words):
    assert tokens.write_token(account) == "EAAtoken"
    if "scopes" in change:
        MetaConnection.everything.update(scopes=change["scopes"])
    if "tasks" in change:
        GrantedAsset.everything.update(tasks=change["tasks"])
    if "enabled_at" in change:
        AdAccount.everything.update(enabled_at=None)
    with pytest.raises(NoConnection, match=words):
        tokens.write_token(account)
    tokens.reader(account)


def test_an_account_without_a_connection_says_so(account):
    MetaConnection.everything.all().delete()
    with pytest.raises(NoConnection, match="no connection"):
        tokens.reader(account)


# --- pausing


def test_a_pause_and_its_end_are_written_down_and_a_second_one_changes_nothing(connected, clock):
    account = connected.ad_account
    for _ in range(2):
        pause(account, connected)
    assert "Paused by Alice" in row(account).reason
    with pytest.raises(NoConnection, match="Resume it"):
        tokens.reader(account)
    for _ in range(2):
        resume(account, connected)
    verbs = AuditLine.everything.filter(verb__endswith="_connection").values_list("verb", flat=True)
    assert sorted(verbs) == ["pause_connection", "resume_connection"]
    assert tokens.write_token(account)


def test_a_pause_over_the_end_of_the_grant_is_told_when_it_is_resumed(connected, clock):
    account = connected.ad_account
    pause(account, connected)
    clock.set(row(account).expires_at + DAYS)
    connections.resume(connection=row(account), principal=connected.principals.alice, now=clock.now())
    assert state(account) == S.REAUTH_NEEDED and row(account).reason


def test_a_buyer_may_neither_pause_nor_resume(connected):
    from accounts.errors import Forbidden

    for act in (connections.pause, connections.resume):
        with pytest.raises(Forbidden):
            act(connection=row(connected.ad_account), principal=connected.principals.bob, now=START)
