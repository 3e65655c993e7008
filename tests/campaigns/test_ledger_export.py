"""The ledger leaves the house whole: whoever has the file checks the chain without us, and nobody else gets it."""

from __future__ import annotations

import hashlib
import json

import pytest

from campaigns.models import LedgerLine
from campaigns.states import Field
from tests.campaigns.test_api import Caller

pytestmark = pytest.mark.django_db


def lines(desk, who, query=""):
    answer = Caller(getattr(desk.agency.users, who)).http.get(f"/api/ledger/{desk.account.act_id}{query}")
    if answer.status_code != 200:
        return answer.status_code
    assert "attachment" in answer["Content-Disposition"]
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_a_client_s_viewer_exports_every_line_and_its_chain_holds(desk):
    desk.until(desk.approved("120"), "APPLIED")
    found = lines(desk, "vic")
    assert len(found) == LedgerLine.everything.filter(ad_account=desk.account).count() > 5
    previous = ""
    for line in found:
        assert line["previous_hash"] == previous
        assert line["hash"] == hashlib.sha256(f"{previous}\n{line['text']}".encode()).hexdigest()
        previous = line["hash"]
    assert json.loads(found[0]["text"])["object_name"]


def test_the_lines_of_one_change_alone(desk):
    first = desk.until(desk.approved("120"), "APPLIED")
    second = desk.file("PAUSED", field=Field.STATUS, obj=desk.other)
    texts = [json.loads(line["text"]) for line in lines(desk, "alice", f"?change={second.uuid}")]
    assert {text["change"] for text in texts} == {str(second.uuid)} != {str(first.uuid)}
    assert lines(desk, "alice", "?change=nonsense") == 400


def test_no_salt_leaves_so_that_a_person_can_still_be_forgotten(desk):
    desk.file("120")
    salt = LedgerLine.everything.exclude(actor_salt="").first().actor_salt
    assert salt not in json.dumps(lines(desk, "alice"))


def test_charlie_exports_nothing(desk):
    assert lines(desk, "charlie") == 404
