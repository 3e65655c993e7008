"""An old agent's config file is taken over once: verified like any token, told line by line, never a token printed."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from accounts import agent_config
from accounts.ad_accounts import archive
from accounts.errors import Invalid
from accounts.models import AdAccount, AuditLine, MetaConnection
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.architecture.source import modules
from tests.door import WSGIAdapter

ACT = "act_1910000000000011"


@pytest.fixture
def take_over(agency, sandbox, tmp_path):
    file = tmp_path / "agent.json"

    def run(data, *args):
        text = data if isinstance(data, str) else json.dumps(data, indent=1)
        file.write_text(text)
        out, told = io.StringIO(), ""
        try:
            call_command("import_config", str(file), *args, stdout=out, stderr=out)
        except CommandError as error:
            told = str(error)
        for token in _tokens(text):
            assert token not in out.getvalue() + told, "a token was printed"
        return out.getvalue() + told

    run.file = file
    return run


def _tokens(text):
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        return []
    every = [rows, *(rows.get("accounts") or [])] if isinstance(rows, dict) else []
    names = ("access_token", "accessToken", "token", "app_secret", "META_ACCESS_TOKEN")
    return [str(row[name]) for row in every if isinstance(row, dict) for name in names if row.get(name)]


def whole(sandbox, **change):
    return {
        "app_id": "1000000000000001",
        "app_secret": "sandbox-secret",
        "client": "northwind",
        "accounts": [{"ad_account_id": ACT, "access_token": sandbox.token("alice"), "poll_seconds": 60}],
        **change,
    }


def test_a_file_is_taken_over_and_its_deletion_asked_for(take_over, sandbox, agency):
    data = whole(sandbox)
    out = take_over(data)
    account = AdAccount.everything.get()
    row = MetaConnection.everything.get()
    assert (account.act_id, account.client, account.enabled, account.poll_seconds) == (
        ACT,
        agency.northwind,
        True,
        60,
    )
    assert (row.state, row.meta_user_name) == ("connected", "Alice Agency")
    assert row.token != data["accounts"][0]["access_token"]  # exchanged for a long-lived one, as connect does
    assert f"{ACT}  Tiny Teapots  on" in out
    assert f"Delete {take_over.file} now" in out
    assert take_over.file.exists()  # it is theirs to delete


def test_one_account_alone_in_camel_case_with_the_environments_names(take_over, sandbox):
    out = take_over(
        {"META_APP_ID": "1000000000000001", "adAccountId": ACT, "accessToken": sandbox.token("alice")},
        "--client",
        "Northwind",
    )
    assert AdAccount.everything.get().enabled and "Tiny Teapots  on" in out


def test_the_same_file_again_does_nothing(take_over, sandbox):
    data = whole(sandbox)
    take_over(data)
    token = MetaConnection.everything.get().token
    lines = AuditLine.everything.count()
    calls = len(sandbox.history)
    out = take_over(data)
    assert "This file was taken over on 18 Nov 2026 15:00 UTC. Nothing to do." in out and "Delete" in out
    assert (MetaConnection.everything.get().token, AuditLine.everything.count(), len(sandbox.history)) == (
        token,
        lines,
        calls,
    )


def test_another_file_is_refused_until_it_is_meant(take_over, sandbox):
    take_over(whole(sandbox))
    other = whole(sandbox, poll_seconds=120)
    out = take_over(other)
    assert "Another config file was taken over on 18 Nov 2026 15:00 UTC." in out and "--again" in out
    assert "Tiny Teapots  on" in take_over(other, "--again")
    assert AuditLine.everything.filter(verb="import_config").count() == 2


def test_the_audit_remembers_a_digest_and_no_token(take_over, sandbox):
    data = whole(sandbox)
    take_over(data)
    line = AuditLine.everything.get(verb="import_config")
    assert (line.client, line.detail) == (None, {"complete": True, "ad_accounts": [ACT]})
    assert len(line.subject) == 64
    assert data["accounts"][0]["access_token"] not in repr(vars(line))


def test_every_line_that_means_nothing_is_named(take_over, sandbox):
    data = whole(sandbox, proxy="http://10.0.0.1:3128", rules={"minCtr": 1})
    data["accounts"][0]["retry"] = {"times": 3}
    out = take_over(data)
    text = json.dumps(data, indent=1).splitlines()

    def line_of(key):
        return next(number for number, line in enumerate(text, start=1) if f'"{key}"' in line)

    assert f"Line {line_of('proxy')}: proxy was not understood, and nothing was done for it." in out
    assert f"Line {line_of('retry')}: accounts[0].retry was not understood" in out
    assert (
        f"Line {line_of('rules')}: rules was not taken: make a strategy of it on the strategies page." in out
    )
    assert "10.0.0.1" not in out
    assert "app_secret" not in out and "app_id" not in out  # understood, though not stored


def test_a_token_in_the_place_of_a_key_is_not_printed(take_over, sandbox):
    token = sandbox.token("alice")
    out = take_over({**whole(sandbox), token: "oops"})
    assert token not in out and "[redacted] was not understood" in out


def test_each_token_is_verified_and_the_good_ones_are_taken(take_over, agency, clock):
    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        first, second, third = box.ad_accounts()
        data = {
            "client": "northwind",
            "accounts": [
                {"ad_account_id": first, "access_token": box.token("alice")},
                {"ad_account_id": second, "access_token": box.token("bob"), "enabled": False},
                {"ad_account_id": third, "access_token": "EAASnonsense-nonsense-nonsense"},
                {"ad_account_id": third, "access_token": box.token("bob")},
            ],
        }
        out = take_over(data)
        assert "2 of 4 ad accounts were not taken over" in out and "Delete" not in out
        assert f"{third}  left out: This token" in out or f"{third}  left out: Meta" in out
        assert f"{third}  left out: Its token does not see this ad account." in out
        assert AdAccount.everything.get(meta_id=first.removeprefix("act_")).enabled
        assert not AdAccount.everything.get(meta_id=second.removeprefix("act_")).enabled
        assert AuditLine.everything.get(verb="import_config").detail["complete"] is False
        # Mended, the run goes on; the same file as before is tried again in full.
        assert "2 of 4" in take_over(data)
        data["accounts"] = data["accounts"][:2]
        assert "--again" in take_over(data)
        assert "Delete" in take_over(data, "--again")


def test_an_account_of_another_client_stays_there(take_over, connected, sandbox):
    out = take_over(whole(sandbox, client="southwind"))
    assert "Another client holds" in out
    assert AdAccount.everything.get().client == connected.northwind
    assert not AuditLine.everything.filter(verb="import_config").exists()


def test_an_archived_account_is_left_as_it_is(take_over, connected, sandbox, clock):
    archive(ad_account=connected.ad_account, principal=connected.principals.alice, now=clock.now())
    out = take_over(whole(sandbox))
    assert "is archived. Restore it first." in out
    assert not AdAccount.everything.get().enabled


def test_a_dry_run_verifies_and_stores_nothing(take_over, sandbox):
    out = take_over(whole(sandbox), "--dry-run")
    assert f"{ACT}  Tiny Teapots  verified" in out and "Delete" not in out
    assert not MetaConnection.everything.exists() and not AdAccount.everything.exists()
    assert not AuditLine.everything.filter(verb="import_config").exists()


def test_meta_away_stores_nothing_and_says_so(take_over, sandbox):
    sandbox.faults.arm("html", {}, times=None)
    assert "Meta did not answer." in take_over(whole(sandbox))
    assert not MetaConnection.everything.exists()
    assert not AuditLine.everything.filter(verb="import_config").exists()


TOKEN = "EAASaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.mark.parametrize(
    "data, words",
    [
        ("client: northwind", "This is not JSON: Expecting value in line 1."),
        ('{"access_token": "' + TOKEN + '",\n "client" "x"}', "in line 2"),
        ("[]", "one JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ("x" * 1_000_001, "too large"),
        ('{"client": "a", "client": "b"}', "The key client stands twice"),
        ({"accounts": {}}, "“accounts” has to be a list"),
        ({"accounts": []}, "names no ad account"),
        ({"access_token": TOKEN, "client": "northwind"}, "The file has no ad_account_id like act_123."),
        ({"ad_account_id": "act_1; DROP", "access_token": TOKEN}, "has no ad_account_id"),
        ({"ad_account_id": "act_1", "client": "northwind"}, "has no access_token"),
        ({"ad_account_id": "act_1", "access_token": "two words, and more", "client": "n"}, "has no access_token"),
        ({"ad_account_id": "act_1", "access_token": 12345678901234567890, "client": "n"}, "has no access_token"),
        ({"ad_account_id": "act_1", "access_token": TOKEN}, "names no client. Add --client NAME."),
        ({"ad_account_id": "act_1", "access_token": TOKEN, "client": "nobody"}, "no client called nobody"),
        ({"ad_account_id": "act_1", "access_token": TOKEN, "client": 7}, "names no client"),
        ({"ad_account_id": "act_1", "access_token": TOKEN, "client": "n", "enabled": "yes"}, "neither true nor"),
        ({"ad_account_id": "act_1", "access_token": TOKEN, "client": "n", "poll_seconds": 5}, "from 30 to 86400"),
        ({"ad_account_id": "act_1", "account_id": "act_2", "access_token": TOKEN}, "says the same as"),
        ({"app_id": "42", "ad_account_id": "act_1", "access_token": TOKEN, "client": "northwind"}, "another Meta app"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_why_and_stores_nothing(take_over, data, words):
    out = take_over(data)
    assert words in out
    assert TOKEN not in out
    assert not MetaConnection.everything.exists() and not AuditLine.everything.exists()


def test_a_file_that_is_not_there_and_one_that_is_no_text(take_over, tmp_path):
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("import_config", str(tmp_path / "none.json"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandError, match="not a text in UTF-8"):
        call_command("import_config", str(tmp_path / "bytes"))


def test_without_an_owner_nobody_may(db, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(CommandError, match="no owner yet"):
        call_command("import_config", str(tmp_path / "a.json"))


def test_a_plan_shows_no_token_and_lines_survive_odd_texts():
    text = (
        '{\n "a: b": "x: y \\" : z",\n "list": [{"deep": 1}, "s"],\n'
        f' "ad_account_id": 1,\n "token": "{TOKEN}", "client": "n", "last": null}}'
    )
    plan = agent_config.read(text)
    assert [(note.line, note.where) for note in plan.notes] == [(2, "a: b"), (3, "list"), (5, "last")]
    assert TOKEN not in repr(plan)
    with pytest.raises(Invalid):
        agent_config.read("{}")


def test_nothing_but_the_command_knows_of_config_files():
    users = {
        module.name
        for module in modules()
        if "agent_config" in module.text and not module.name.endswith("agent_config")
    }
    assert users == {"accounts.management.commands.import_config"}
