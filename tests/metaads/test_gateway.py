"""Settings -> clients: where calls go, what they spend, and what a plugged wire sees."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from metaads.gateway import client, plugged, requests_session, transport, writer
from metaads.graph.errors import Kind, Refused
from metaads.graph.oauth import me
from metaads.models import QuotaScope
from metaads.notices import open_notices
from metaads.quota import Blocked, state

pytestmark = pytest.mark.django_db

Reply = tuple[int, Any, dict[str, str]]


class Wire(BaseAdapter):
    """Records every request and answers from a function of it."""

    def __init__(self, answer: Callable[[requests.PreparedRequest], Reply]) -> None:
        super().__init__()
        self.seen: list[requests.PreparedRequest] = []
        self._answer = answer

    def send(self, request: Any, **kwargs: Any) -> requests.Response:
        self.seen.append(request)
        status, body, headers = self._answer(request)
        response = requests.Response()
        response.status_code = status
        response.headers.update({"Content-Type": "application/json", **headers})
        response.raw = _Raw(json.dumps(body).encode())
        response.url = request.url
        response.request = request
        return response

    def close(self) -> None:
        pass


class _Raw(io.BytesIO):
    def stream(self, amount: int, decode_content: bool = False) -> Iterator[bytes]:
        while piece := self.read(amount):
            yield piece

    def release_conn(self) -> None:
        pass


def always(body: Any, *, status: int = 200, **headers: str) -> Wire:
    return Wire(
        lambda request: (status, body, {name.replace("_", "-"): value for name, value in headers.items()})
    )


def test_a_read_goes_to_the_configured_host_and_version_with_the_token_in_the_header(
    settings: Any, clock: Any
) -> None:
    settings.META = {**settings.META, "version": "v18.0"}
    wire = always({"id": "1", "name": "Shoes"})
    with plugged(wire):
        row = client(token="EAAB1", ad_account="77").node("1", ["name"])
    [request] = wire.seen
    assert row["name"] == "Shoes"
    assert request.url.startswith("https://graph.facebook.com/v18.0/1?")
    assert request.headers["Authorization"] == "Bearer EAAB1" and "EAAB1" not in request.url
    assert "appsecret_proof=" in request.url


def test_each_attempt_of_a_read_spends_a_point_of_its_account(clock: Any) -> None:
    replies = iter(
        [(500, {"error": {"message": "x", "code": 2, "is_transient": True}}, {}), (200, {"id": "1"}, {})]
    )
    with plugged(Wire(lambda request: next(replies))):
        client(token="T", ad_account="77").node("1", ["id"])
    assert state(scope="act_77", now=clock.now()).points == 2


def test_a_spent_quota_stops_the_call_before_anything_leaves(clock: Any) -> None:
    wire = always({"id": "1"})
    with plugged(wire):
        reader = client(token="T", ad_account="77")
        for _ in range(42):
            reader.node("1", ["id"])
        with pytest.raises(Blocked):
            reader.node("1", ["id"])
        assert len(wire.seen) == 42
        client(token="T", ad_account="77", use="verify").node("1", ["id"])
    assert len(wire.seen) == 43, "a read-back may still go"


def test_a_throttled_answer_blocks_the_account_for_the_next_client(clock: Any) -> None:
    wire = always({"error": {"message": "limit", "code": 17, "error_subcode": 2446079}}, status=400)
    with plugged(wire):
        with pytest.raises(Exception, match="17"):
            client(token="T", ad_account="77").node("1", ["id"])
        with pytest.raises(Blocked):
            client(token="T", ad_account="77", use="verify").node("1", ["id"])
    assert len(wire.seen) == 1


def test_a_write_costs_three_points_and_its_answer_is_heard(clock: Any) -> None:
    usage = json.dumps(
        {"acc_id_util_pct": 61.5, "reset_time_duration": 0, "ads_api_access_tier": "development_access"}
    )
    wire = always({"success": True}, X_Ad_Account_Usage=usage)
    with plugged(wire):
        answer = writer(token="T", ad_account="77").update("1", {"status": "PAUSED"})
    assert answer.kind is Kind.OK
    after = state(scope="act_77", now=clock.now())
    assert (after.points, after.percent) == (3, 61.5)
    assert [request.method for request in wire.seen] == ["POST"]


def test_a_pause_goes_where_a_write_does_not(clock: Any) -> None:
    usage = json.dumps(
        {"acc_id_util_pct": 97, "reset_time_duration": 0, "ads_api_access_tier": "development_access"}
    )
    wire = always({"success": True, "id": "1"}, X_Ad_Account_Usage=usage)
    with plugged(wire):
        client(token="T", ad_account="77").node("1", ["id"])
        QuotaScope.objects.update(blocked_until=None)
        with pytest.raises(Blocked):
            writer(token="T", ad_account="77").update("1", {"daily_budget": 100})
        assert writer(token="T", ad_account="77", use="pause").update("1", {"status": "PAUSED"}).ok
    assert [request.method for request in wire.seen] == ["GET", "POST"]


def test_a_version_warning_becomes_a_notice_once(clock: Any) -> None:
    wire = always({"id": "1"}, X_Ad_Api_Version_Warning="v24.0 will stop on 2026-10-06")
    with plugged(wire):
        reader = client(token="T", ad_account="77")
        reader.node("1", ["id"]), reader.node("1", ["id"])
    [notice] = open_notices()
    assert (notice.kind, notice.times) == ("version", 2) and "v24.0" in notice.text


def test_calls_that_belong_to_no_account_are_the_app_s(clock: Any) -> None:
    with plugged(always({"id": "9", "name": "Alice"})):
        client(token="T", ad_account=None).node("me", ["id"])
    assert state(scope="app", now=clock.now()).points == 1


def test_oauth_calls_use_the_same_way_out(clock: Any) -> None:
    wire = always({"id": "9", "name": "Alice"})
    with plugged(wire):
        assert me(transport(), "T")["name"] == "Alice"
    assert wire.seen[0].url.startswith("https://graph.facebook.com/v26.0/me")


def test_a_plug_ends_with_its_block() -> None:
    wire = always({"id": "1"})
    with plugged(wire):
        inside = transport()
    assert transport() is not inside


def test_a_refusal_comes_out_as_one(clock: Any) -> None:
    wire = always({"error": {"message": "Invalid parameter", "code": 100}}, status=400)
    with plugged(wire), pytest.raises(Refused):
        client(token="T", ad_account="77").node("1", ["id"])
    assert len(wire.seen) == 1, "a refusal is not tried again"


@pytest.mark.parametrize("address", ["https://evil.example/v26.0/me", "http://graph.facebook.com/v26.0/me"])
def test_the_sign_in_library_s_session_reaches_the_graph_host_and_nothing_else(address: str) -> None:
    with pytest.raises(requests.exceptions.InvalidSchema):
        requests_session().get(address)


def test_the_sign_in_library_s_session_follows_no_redirect() -> None:
    wire = Wire(lambda request: (302, {}, {"Location": "https://evil.example/"}))
    with plugged(wire):
        answer = requests_session().get("https://graph.facebook.com/v26.0/oauth/access_token")
    assert answer.status_code == 302 and len(wire.seen) == 1


def test_only_known_uses_are_taken() -> None:
    with pytest.raises(ValueError, match="read"):
        client(token="T", ad_account="1", use="write")
    with pytest.raises(ValueError, match="pause"):
        writer(token="T", ad_account="1", use="read")


def test_a_sandbox_under_plain_http_is_reachable_and_in_production_refused(settings: Any) -> None:
    settings.META = {**settings.META, "graph_url": "http://sandbox:8010"}
    assert transport().base_url == "http://sandbox:8010"
    settings.PRODUCTION = True
    settings.META = {**settings.META, "graph_url": "http://sandbox:8011"}
    with pytest.raises(ValueError, match="not among the hosts"):
        transport()


@pytest.mark.fault("F93")
def test_while_the_app_secret_is_replaced_every_proof_is_made_with_the_new_one(
    settings: Any, clock: Any
) -> None:
    """The old one only opens what Meta had signed before; a proof of it would be refused."""
    settings.META = {**settings.META, "app_secret": "the-new-one", "app_secret_previous": "the-old-one"}
    wire = always({"id": "1", "name": "Shoes"})
    with plugged(wire):
        client(token="EAAB1", ad_account="77").node("1", ["name"])
    [request] = wire.seen
    proof = hmac.new(b"the-new-one", b"EAAB1", hashlib.sha256).hexdigest()
    assert f"appsecret_proof={proof}" in request.url
