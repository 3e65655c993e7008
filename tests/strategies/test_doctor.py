"""The connection doctor: each bullet of the brief's troubleshooting is a check, shown failing by a real failure.

`login.browser` looks from inside a browser: tests/browser/test_doctor.py shows it failing there.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from accounts.access import principal_of
from accounts.ad_accounts import disable, discover
from accounts.connections import validate
from accounts.diagnosis import GROUPS, Check, Exam, State, Topic, Trouble, as_markdown
from accounts.models import AdAccount, Membership, MetaConnection
from campaigns.changes.switch import Scope, pull
from campaigns.models import Campaign
from insights.models import PollState
from insights.poll import tick
from metaads.clock import using
from metaads.gateway import plugged
from metaads.models import QuotaScope
from metaads.notices import VERSION, report
from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from strategies.doctor import TOPICS, checks, manual
from strategies.drafts import create
from strategies.management.commands.doctor import OPERATOR
from strategies.models import Strategy
from tests import kept
from tests.conftest import START
from tests.door import WSGIAdapter

ASKS = {
    "name": "House rules",
    "type": "performance_optimization",
    "rules": {"minCtr": "0.80"},
    "actions": {"pauseLowPerforming": True},
}
#: The brief's sixteen bullets, in its order, as keys.
KEYS = (
    "login.app", "login.redirect", "login.permissions", "login.browser",
    "token.expiry", "token.permissions", "token.storage", "token.endpoint",
    "data.polling", "data.access", "data.limits", "data.network",
    "strategy.permission", "strategy.budget", "strategy.campaign", "strategy.parameters",
)  # fmt: skip


@pytest.fixture
def house(synced: Any, sandbox: Any, clock: Any) -> Any:
    """Everything well: connected, read, polled a moment ago, one active strategy."""

    def build() -> Any:
        create(principal=synced.principals.bob, ad_account=synced.ad_account, data=ASKS, now=clock.now())
        tick(now=clock.now())
        return synced

    return kept.reach("a house that is well", build=build, agency=synced, box=sandbox, clock=clock)


def ask(house: Any, clock: Any, who: str = "bob") -> dict[str, Check]:
    principal = principal_of(getattr(house.users, who))
    found = checks(principal, client=house.northwind, now=clock.now())
    assert len(found) == len({one.key for one in found}) == 16
    return {one.key: one for one in found}


def person(sandbox: Any, name: str = "alice") -> Any:
    return sandbox.world.people[name]


def decline(sandbox: Any, clock: Any, *scopes: str) -> None:
    sandbox.world.record(
        at=clock.timestamp(), kind="grant", user=person(sandbox).id, granted=[], declined=list(scopes)
    )


def test_a_healthy_house_is_well_and_only_the_browser_is_unknown(house, clock):
    found = ask(house, clock)
    assert {key: check.state for key, check in found.items()} == {
        key: State.UNKNOWN if key == "login.browser" else State.OK for key in KEYS
    }
    assert all(check.finding and (check.state != State.OK or not check.fix) for check in found.values())


def test_the_sixteen_bullets_of_the_brief_are_the_sixteen_checks():
    assert sorted(topic.key for topic in TOPICS) == sorted(KEYS)
    assert [sum(topic.group == group for topic in manual()) for group in GROUPS] == [4, 4, 4, 4]
    assert [topic.key for topic in manual() if topic.group in GROUPS[:2]] == list(KEYS[:8])


# --- each of them failing

Break = Callable[..., None]


def no_secret(house, sandbox, clock, settings):
    settings.META = {**settings.META, "app_secret": ""}


def wrong_secret(house, sandbox, clock, settings):
    settings.META = {**settings.META, "app_secret": "another-secret"}


def app_id_of_letters(house, sandbox, clock, settings):
    settings.META = {**settings.META, "app_id": "my app"}


def plain_http(house, sandbox, clock, settings):
    settings.PUBLIC_URL = "http://ads.example.com"


def http_in_production(house, sandbox, clock, settings):
    settings.PRODUCTION = True


def path_with_a_query(house, sandbox, clock, settings):
    settings.META = {**settings.META, "redirect_path": "/auth/meta/callback?x=1"}


def address_with_a_path(house, sandbox, clock, settings):
    settings.PUBLIC_URL = "https://ads.example.com/metaads"


def reading_declined(house, sandbox, clock, settings):
    decline(sandbox, clock, "ads_read", "ads_management")


def management_declined(house, sandbox, clock, settings):
    decline(sandbox, clock, "ads_management")


def management_taken_back(house, sandbox, clock, settings):
    decline(sandbox, clock, "ads_management")
    validate(connection=MetaConnection.everything.get(), now=clock.now())


def nobody_connected(house, sandbox, clock, settings):
    MetaConnection.everything.all().delete()


def token_ran_out(house, sandbox, clock, settings):
    row = MetaConnection.everything.get()
    clock.set(row.expires_at + timedelta(seconds=1))


def token_revoked(house, sandbox, clock, settings):
    sandbox.control.handle("POST", "revoke", {"user": "alice", "subcode": 460})
    clock.advance(1)


def token_ends_soon(house, sandbox, clock, settings):
    row = MetaConnection.everything.get()
    clock.set(row.expires_at - timedelta(days=9))


def account_left_out_of_the_grant(house, sandbox, clock, settings):
    person(sandbox).tasks = {"act_999": ("ANALYZE",)}


def only_analyze(house, sandbox, clock, settings):
    person(sandbox).tasks = {house.ad_account.act_id: ("ANALYZE",)}
    discover(client=house.northwind, principal=house.principals.alice, now=clock.now())


def key_lost(house, sandbox, clock, settings):
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]


def token_copied_between_rows(house, sandbox, clock, settings):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_metaconnection SET meta_user_id = '77'")


def token_emptied(house, sandbox, clock, settings):
    MetaConnection.everything.update(token="")


def version_retired(house, sandbox, clock, settings):
    sandbox.faults.arm("version_retired", {"path": "me"}, times=None)


def meta_down(house, sandbox, clock, settings):
    sandbox.faults.arm("html", {}, times=None)


def never_polled(house, sandbox, clock, settings):
    clock.advance(3600)


def polled_too_often(house, sandbox, clock, settings):
    settings.POLL_SECONDS = 5


def looks_stopped(house, sandbox, clock, settings):
    PollState.everything.update(stopped=True)


def looks_fail(house, sandbox, clock, settings):
    sandbox.faults.arm("transient", {"path": "insights"}, times=None)
    clock.advance(3600)
    tick(now=clock.now())


def taken_out_of_the_account(house, sandbox, clock, settings):
    sandbox.faults.arm("permission", {"path": house.ad_account.act_id}, times=None)


def account_without_connection(house, sandbox, clock, settings):
    MetaConnection.everything.update(state="reauth_needed", reason="Expired.")


def meta_throttles(house, sandbox, clock, settings):
    sandbox.faults.arm("throttle", {"path": "insights"}, times=None)
    clock.advance(3600)
    tick(now=clock.now())


def polled_nowhere(house, sandbox, clock, settings):
    settings.POLLING = False


def limit_used_up(house, sandbox, clock, settings):
    QuotaScope.objects.filter(pk=house.ad_account.act_id).update(percent=93.0, percent_at=clock.now())


def nobody_answers(house, sandbox, clock, settings):
    sandbox.faults.arm("dropped", {}, times=None)


def switched_off(house, sandbox, clock, settings):
    disable(ad_account=house.ad_account, principal=house.principals.alice, now=clock.now())


def kill_switch(house, sandbox, clock, settings):
    pull(
        scope=Scope(client=house.northwind), principal=house.principals.alice, reason="fire", now=clock.now()
    )


def cap_reached(house, sandbox, clock, settings):
    AdAccount.everything.update(spend_cap=100, amount_spent=100)


def below_the_minimum(house, sandbox, clock, settings):
    AdAccount.everything.update(min_daily_budget=1_000_000)


def unlisted_currency(house, sandbox, clock, settings):
    AdAccount.everything.update(currency="XXX")


def all_paused(house, sandbox, clock, settings):
    Campaign.everything.update(effective_status="PAUSED")


def account_disabled(house, sandbox, clock, settings):
    AdAccount.everything.update(account_status=2, disable_reason=3)


def rules_damaged(house, sandbox, clock, settings):
    Strategy.everything.update(rules={"minCtr": "a lot"})


FAILURES: list[tuple[str, Break, str, str]] = [
    ("login.app", no_secret, "META_APP_SECRET is not set", "Set META_APP_ID"),
    ("login.app", wrong_secret, "Meta refuses the app", "Compare both"),
    ("login.app", app_id_of_letters, "not a number", "digits only"),
    ("login.redirect", plain_http, "http://ads.example.com/auth/meta/callback is plain http", "https://"),
    ("login.redirect", http_in_production, "plain http", "certificate"),
    ("login.redirect", path_with_a_query, "cannot be a redirect address", "META_REDIRECT_PATH"),
    ("login.redirect", address_with_a_path, "cannot be a redirect address", "PUBLIC_URL"),
    ("login.permissions", reading_declined, "no permission to read ads", "ads_read"),
    ("login.permissions", nobody_connected, "No Meta account is connected", "Connect Meta account"),
    ("token.expiry", token_ran_out, "expired", "Reconnect"),
    ("token.expiry", token_revoked, "Alice Agency", "Reconnect"),
    ("token.permissions", account_left_out_of_the_grant, "may not read Tiny Teapots", "choose this ad account"),
    ("token.permissions", reading_declined, "may not read Tiny Teapots", "ads_read"),
    ("token.storage", key_lost, "Alice Agency", "FERNET_KEYS"),
    ("token.storage", token_copied_between_rows, "not its own", "reconnect"),
    ("token.storage", token_emptied, "has no token", "Reconnect"),
    ("token.endpoint", version_retired, "refuses the version", "META_GRAPH_VERSION"),
    ("token.endpoint", meta_down, "did not answer under", "metastatus.com"),
    ("data.polling", never_polled, "was due", "/readyz"),
    ("data.polling", polled_too_often, "POLL_SECONDS is 5", "30 or more"),
    ("data.polling", polled_nowhere, "POLLING is false", "set it to true"),
    ("data.polling", looks_stopped, "are stopped", "Start them again"),
    ("data.polling", looks_fail, "Tiny Teapots", "reason"),
    ("data.access", taken_out_of_the_account, "Tiny Teapots", "Business settings"),
    ("data.access", account_without_connection, "Tiny Teapots", "Reconnect"),
    ("data.limits", meta_throttles, "blocked until", "Wait until"),
    ("data.limits", limit_used_up, "93 %", "Wait an hour"),
    ("data.network", nobody_answers, "was not reached", "firewall"),
    ("data.network", meta_down, "was not reached", "firewall"),
    ("strategy.permission", only_analyze, "task Manage campaigns is missing", "connections page"),
    ("strategy.permission", management_taken_back, "ads_management was not given", "connections page"),
    ("strategy.permission", account_without_connection, "Tiny Teapots", "connected"),
    ("strategy.permission", kill_switch, "fire", "release it"),
    ("strategy.budget", cap_reached, "100.00 of 100.00 USD", "spending limit"),
    ("strategy.budget", below_the_minimum, "minimum is 1,000,000.00", "Raise it"),
    ("strategy.budget", unlisted_currency, "XXX", "Ads Manager"),
    ("strategy.campaign", all_paused, "none of", "Start a campaign"),
    ("strategy.campaign", account_disabled, "disabled (payment risk)", "Account Quality"),
    ("strategy.campaign", switched_off, "switched off here", "Switch the ad account on"),
    ("strategy.parameters", rules_damaged, "rules.minCtr", "correct the field"),
]  # fmt: skip


@pytest.mark.parametrize(
    "key, break_, finding, fix", FAILURES, ids=[f"{one[0]}-{one[1].__name__}" for one in FAILURES]
)
def test_a_real_failure_is_found_and_the_fix_is_said(
    house, sandbox, clock, settings, key, break_, finding, fix
):
    secrets = [str(MetaConnection.everything.get().token), settings.META["app_secret"], settings.SECRET_KEY]
    secrets += settings.FERNET_KEYS
    break_(house, sandbox, clock, settings)
    found = ask(house, clock)
    check = found[key]
    assert check.state is State.FAIL, check
    assert finding in check.finding
    assert fix in check.fix
    told = repr(found) + repr(checks(OPERATOR, client=None, now=clock.now()))
    assert not any(secret in told for secret in secrets), "a secret is told"


WARNINGS: list[tuple[str, Break, str]] = [
    ("login.permissions", management_declined, "did not give ads_management"),
    ("token.expiry", token_ends_soon, "the token ends on"),
    ("token.permissions", management_declined, "change nothing there"),
    ("token.permissions", only_analyze, "change nothing there"),
]


@pytest.mark.parametrize(
    "key, break_, finding", WARNINGS, ids=[f"{one[0]}-{one[1].__name__}" for one in WARNINGS]
)
def test_what_still_works_is_a_warning(house, sandbox, clock, settings, key, break_, finding):
    break_(house, sandbox, clock, settings)
    check = ask(house, clock)[key]
    assert (check.state, finding in check.finding) == (State.WARN, True), check
    assert check.fix


def test_every_server_side_check_is_shown_failing():
    assert {key for key, *_ in FAILURES} == set(KEYS) - {"login.browser"}


def test_clocks_that_differ_are_found(house, clock):
    late = Sandbox(world="tiny", seed=7, clock=ManualClock(START - timedelta(minutes=10)))
    with plugged(WSGIAdapter(late)):
        check = ask(house, clock)["data.network"]
    assert (check.state, "10 minutes apart" in check.finding) == (State.FAIL, True)
    assert "NTP" in check.fix


def test_a_closed_port_is_found_through_the_real_door(house, clock, settings):
    settings.META = {**settings.META, "graph_url": "http://127.0.0.1:9"}
    with plugged(None):
        check = ask(house, clock)["data.network"]
    assert (check.state, check.finding) == (
        State.FAIL,
        "127.0.0.1 was not reached: nobody answers at that address and port.",
    )


def test_metas_version_warning_is_told(house, clock):
    report(kind=VERSION, text="v26.0 ends on 1 February.", now=clock.now())
    check = ask(house, clock)["token.endpoint"]
    assert (check.state, check.finding) == (State.WARN, "Meta warns: v26.0 ends on 1 February.")


def test_old_keys_are_told_to_whoever_sees_the_whole_installation(house, clock, settings):
    settings.FERNET_KEYS = [Fernet.generate_key().decode(), *settings.FERNET_KEYS]
    assert ask(house, clock)["token.storage"].state is State.OK
    found = checks(OPERATOR, client=None, now=clock.now())
    check = next(one for one in found if one.key == "token.storage")
    assert (check.state, "rotate_keys" in check.fix) == (State.WARN, True)


# --- what cannot be looked at


def test_with_meta_away_nothing_that_needs_it_is_called_ok(house, sandbox, clock):
    sandbox.faults.arm("dropped", {}, times=None)
    found = ask(house, clock)
    for key in ("login.app", "login.permissions", "token.expiry", "token.permissions", "data.access"):
        assert found[key].state is State.UNKNOWN, found[key]
        assert "Meta did" in found[key].finding or "does not tell" in found[key].finding
        assert "metastatus.com" in found[key].fix
    assert found["token.storage"].state is State.OK  # needs no Meta


def test_an_app_that_meta_refuses_is_said_once_and_nobody_is_sent_to_reconnect(house, clock, settings):
    settings.META = {**settings.META, "app_secret": "another-secret"}
    found = ask(house, clock)
    assert {key for key, check in found.items() if check.state is State.FAIL} == {"login.app"}
    asked = ("login.permissions", "token.expiry", "token.permissions", "token.endpoint", "data.access")
    assert {found[key].fix for key in asked} == {"Mend “App ID and App Secret” first."}
    assert {found[key].state for key in asked} == {State.UNKNOWN}


def broken(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    raise OperationalError("the server closed the connection unexpectedly")


def test_with_the_database_away_the_other_checks_are_still_made(house, clock):
    with connection.execute_wrapper(broken):
        found = {one.key: one for one in checks(OPERATOR, client=None, now=clock.now())}
    well = {"login.app", "login.redirect", "data.network"}
    assert {key for key, check in found.items() if check.state is State.OK} == well
    for key in set(KEYS) - well - {"login.browser"}:
        assert found[key].state is State.UNKNOWN
        assert "The database does not answer" in found[key].finding
        assert "/readyz" in found[key].fix


def test_a_database_that_does_not_answer_is_asked_once(house, clock):
    asked = []

    def counting(*args: Any) -> Any:
        asked.append(args[1])
        return broken(*args)

    with connection.execute_wrapper(counting):
        checks(OPERATOR, client=None, now=clock.now())
    assert len(asked) <= 3  # a time-out each would make people wait for minutes


def test_without_a_strategy_there_is_nothing_to_look_at(synced, clock):
    tick(now=clock.now())
    found = ask(synced, clock)
    assert {found[key].state for key in ("strategy.campaign", "strategy.parameters")} == {State.UNKNOWN}
    assert found["strategy.permission"].state is State.OK


def test_a_read_only_connection_without_a_strategy_is_no_failure(synced, sandbox, clock, settings):
    tick(now=clock.now())
    only_analyze(synced, sandbox, clock, settings)
    assert ask(synced, clock)["strategy.permission"].state is State.WARN


def test_an_empty_installation_says_what_to_do_first(agency, sandbox, clock):
    found = ask(agency, clock)
    assert found["login.permissions"].state is State.FAIL
    assert found["token.expiry"].state is State.UNKNOWN
    assert "Connect Meta account" in found["token.expiry"].fix


def test_nothing_of_another_client_is_told(house, clock):
    southwind = ask_as(house, clock, "charlie", house.southwind)
    assert not any("Teapots" in one.finding or "Alice" in one.finding for one in southwind)
    Membership.objects.filter(user=house.users.charlie).delete()
    for one in ask_as(house, clock, "charlie", None):
        assert "Teapots" not in one.finding


def ask_as(house: Any, clock: Any, who: str, client: Any) -> list[Check]:
    return checks(principal_of(getattr(house.users, who)), client=client, now=clock.now())


def test_the_doctor_changes_nothing_but_what_a_read_teaches(house, clock):
    def rows() -> list[Any]:
        return [
            list(model.everything.order_by("pk").values())
            for model in (AdAccount, MetaConnection, Strategy, PollState)
        ]

    before = rows()
    ask(house, clock)
    assert rows() == before


# --- the command and the manual


def test_the_command_prints_all_and_ends_with_one_when_a_check_fails(house, clock, settings):
    out = io.StringIO()
    call_command("doctor", "--client", "Northwind", stdout=out)
    assert out.getvalue().count("[") == 16 and all(group in out.getvalue() for group in GROUPS)
    settings.META = {**settings.META, "app_secret": ""}
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=out)
    assert ended.value.code == 1
    assert "-> Set META_APP_ID and META_APP_SECRET" in out.getvalue()


def test_the_command_speaks_json(house, clock):
    out = io.StringIO()
    call_command("doctor", "--client", "northwind", "--json", stdout=out)
    body = json.loads(out.getvalue())
    assert (body["state"], body["client"], [one["key"] for one in body["checks"]]) == (
        "unknown",
        "northwind",
        [topic.key for topic in manual()],
    )
    assert set(body["checks"][0]) == {"key", "group", "title", "state", "finding", "fix"}


def test_the_command_names_a_client_that_is_not_there(house):
    with pytest.raises(CommandError, match="no such client"):
        call_command("doctor", "--client", "nobody")


def test_the_command_works_on_a_database_that_is_no_database(tmp_path):
    (tmp_path / "metaads.sqlite3").write_bytes(b"this is not a database, whatever its name says" * 100)
    clean = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), "META_GRAPH_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json", "--client", "northwind"],
        cwd=django_settings.BASE_DIR, env=clean, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    body = json.loads(done.stdout)
    states = {one["key"]: one["state"] for one in body["checks"]}
    assert (done.returncode, body["state"], len(states)) == (1, "fail", 16), done.stderr
    assert (states["login.redirect"], states["token.storage"], states["data.network"]) == (
        "ok",
        "unknown",
        "fail",
    )
    assert "The database does not answer, so the client cannot be looked up." in done.stderr


def test_the_manual_is_generated_from_the_checks():
    file = Path(django_settings.BASE_DIR) / "docs" / "troubleshooting.md"
    out = io.StringIO()
    call_command("doctor", "--docs", stdout=out)
    assert file.read_text() == out.getvalue(), "run: manage.py doctor --docs > docs/troubleshooting.md"
    text = as_markdown(manual())
    for topic in TOPICS:
        assert f"`{topic.key}`" in text
        for trouble in topic.troubles.values():
            assert trouble.shows in text and trouble.fix in text
            assert "|" not in trouble.shows + trouble.fix, "it would break the table"
            assert re.fullmatch(r"[A-Z“].*[.…]", trouble.fix), trouble.fix


# --- how a check sums up

TOPIC = Topic("x.y", GROUPS[0], "X", "Looks.", {"a": Trouble("A.", "Mend A."), "b": Trouble("B.", "Mend B.")})


def test_the_worst_finding_decides_and_stands_first():
    exam = Exam(TOPIC)
    exam.unknown("One was not asked.", "Ask later.")
    exam.warn("b", "B is odd.")
    exam.fail("a", "A is broken.")
    check = exam.check("Fine.")
    assert (check.state, check.finding, check.fix) == (
        State.FAIL,
        "A is broken. B is odd. One was not asked.",
        "Mend A. Mend B.",
    )


def test_many_findings_are_counted_and_said_once():
    exam = Exam(TOPIC)
    for number in range(8):
        exam.fail("a", f"{number} is broken.")
        exam.fail("a", f"{number} is broken.")
    check = exam.check("")
    assert check.finding.endswith("4 is broken. And 3 more like these.")
    assert check.fix == "Mend A."


def test_nothing_found_is_fine_and_asks_for_nothing():
    check = Exam(TOPIC).check("Fine.")
    assert (check.state, check.finding, check.fix) == (State.OK, "Fine.", "")


def test_a_doctor_of_another_time_uses_its_own_clock(house, clock):
    with using(clock.now):
        assert ask(house, clock)["data.network"].state is State.OK
