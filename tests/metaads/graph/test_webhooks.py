"""Only Meta can make us believe a notice, and a notice only says what to look at."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaads.graph import webhooks

BODY = json.dumps(
    {
        "object": "ad_account",
        "entry": [
            {
                "id": "123456789",
                "time": 1795000000,
                "changes": [
                    {
                        "field": "with_issues_ad_objects",
                        "value": {"id": "20", "level": "AD_SET", "error_code": "1815869"},
                    },
                    {
                        "field": "field_changed",
                        "value": {"object_id": "10", "changed_fields": ["effective_status"]},
                    },
                ],
            }
        ],
    }
).encode()


def signed(body: bytes, secret: str = "new") -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def request(payload: dict[str, Any], secret: str = "new") -> str:
    text = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode() + "." + text


PAYLOAD = {
    "user_id": "10200000000000001",
    "algorithm": "HMAC-SHA256",
    "issued_at": 1795000000,
    "expires": 1795003600,
}


def test_a_notice_signed_with_any_current_secret_is_believed() -> None:
    assert webhooks.verify(BODY, signed(BODY, "new"), ["new", "old"])
    assert webhooks.verify(BODY, signed(BODY, "old"), ["new", "old"])


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "0" * 64,
        "sha256=" + "g" * 64,
        "sha256=ä",
        signed(BODY, "x"),
    ],
)
def test_any_other_signature_is_not(header: str) -> None:
    assert not webhooks.verify(BODY, header, ["new", "old"])


def test_the_signature_covers_the_raw_bytes() -> None:
    escaped, plain = b'{"a":"\\u00e4"}', '{"a":"ä"}'.encode()
    assert webhooks.verify(escaped, signed(escaped), ["new"])
    assert not webhooks.verify(plain, signed(escaped), ["new"])


def test_without_a_secret_nobody_is_believed() -> None:
    assert not webhooks.verify(BODY, signed(BODY, ""), [""])
    assert not webhooks.verify(BODY, signed(BODY), [])
    with pytest.raises(webhooks.BadSignedRequest):
        webhooks.parse_signed_request(request(PAYLOAD, ""), [""])


@given(st.binary(max_size=100), st.text(max_size=100))
def test_checking_never_raises_and_never_believes_noise(body: bytes, header: str) -> None:
    assert not webhooks.verify(body, header, ["new"])


def test_a_signed_request_gives_its_user() -> None:
    assert webhooks.parse_signed_request(request(PAYLOAD), ["old", "new"])["user_id"] == "10200000000000001"


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "a.b",
        "no-dot",
        request(PAYLOAD, "wrong"),
        request(PAYLOAD)[1:],
        request(PAYLOAD) + "x",
        request(PAYLOAD).replace("-", "+").replace("_", "/") + " ",
        request({**PAYLOAD, "algorithm": "none"}),
        request({key: value for key, value in PAYLOAD.items() if key != "algorithm"}),
        request({**PAYLOAD, "user_id": 10200000000000001}),
        request({**PAYLOAD, "user_id": "1; drop"}),
        request({key: value for key, value in PAYLOAD.items() if key != "user_id"}),
        "x" * 20_000,
    ],
)
def test_any_other_signed_request_is_refused_without_quoting_it(value: str) -> None:
    with pytest.raises(webhooks.BadSignedRequest) as caught:
        webhooks.parse_signed_request(value, ["new"])
    assert len(value) < 5 or value not in str(caught.value)


@given(st.text(max_size=200))
def test_reading_a_signed_request_refuses_but_never_crashes(value: str) -> None:
    with pytest.raises(webhooks.BadSignedRequest):
        webhooks.parse_signed_request(value, ["new"])


def test_a_notice_becomes_one_event_per_change() -> None:
    events = webhooks.parse(BODY)
    assert [(event.object, event.entry_id, event.time, event.field) for event in events] == [
        ("ad_account", "123456789", 1795000000, "with_issues_ad_objects"),
        ("ad_account", "123456789", 1795000000, "field_changed"),
    ]
    assert events[1].value == {"object_id": "10", "changed_fields": ["effective_status"]}


def test_the_same_change_has_the_same_key_however_it_is_written() -> None:
    again = json.dumps(json.loads(BODY), indent=2, sort_keys=True).encode()
    assert [event.key for event in webhooks.parse(BODY)] == [event.key for event in webhooks.parse(again)]
    assert len({event.key for event in webhooks.parse(BODY)}) == 2


def test_a_revoked_permission_without_values_is_an_event_too() -> None:
    body = (
        b'{"object":"permissions","entry":[{"uid":"102","id":"102","time":1,"changed_fields":["ads_read"]}]}'
    )
    event = webhooks.parse(body)[0]
    assert (event.object, event.entry_id, event.field, event.value) == (
        "permissions",
        "102",
        "ads_read",
        None,
    )


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'{"object":"x"}', b'{"entry":[]}', b"\xff", b"[" * 99_999]
)
def test_what_is_no_notice_is_refused(body: bytes) -> None:
    with pytest.raises(webhooks.BadNotice):
        webhooks.parse(body)


def test_odd_entries_are_skipped_and_the_rest_is_kept() -> None:
    notice = json.loads(BODY)
    notice["entry"][:0] = [
        None,
        7,
        {},
        {"id": None},
        {"id": "1", "changes": [None, {"field": 5}, {}]},
        {"id": True},
    ]
    assert len(webhooks.parse(json.dumps(notice).encode())) == 2


KEYS = st.sampled_from(["id", "time", "changes", "field"])
ENTRIES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=9) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=10,
)


@given(ENTRIES)
def test_parsing_any_entry_never_raises(entry: Any) -> None:
    for event in webhooks.parse(json.dumps({"object": "x", "entry": [entry]}).encode()):
        assert len(event.key) == 64
