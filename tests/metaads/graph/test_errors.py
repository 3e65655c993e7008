"""Every documented error becomes what the table says, and every odd body becomes exactly one kind."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from metaads.graph import errors
from metaads.graph.errors import Answer, Kind
from tests.metaads.graph.error_corpus import CASES, Case


def read(
    body: bytes | str | dict[str, Any] | list[Any], *, status: int = 200, kind: str = "application/json"
) -> Answer:
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return errors.classify(status=status, content_type=kind, body=raw, headers={})


@pytest.mark.fault("F44")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_documented_error_gets_its_kind_and_rule(case: Case) -> None:
    answer = read(case.body, status=case.status)
    assert (answer.kind, answer.rule) == (case.kind, case.rule)
    assert (answer.code, answer.subcode) == (case.code, case.subcode)
    assert (answer.reduce, answer.definite) == (case.reduce, case.definite)
    assert answer.trace_id == "AbCdEf123"
    assert answer.advice


def test_the_corpus_covers_every_row_of_the_table() -> None:
    seen = {read(case.body, status=case.status).rule for case in CASES}
    rows = {rule.name for rule in errors.RULES.values()}
    rows |= {name for name, _ in errors._VALIDATION.values()}
    assert rows - seen == set()
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", [case for case in CASES if case.status < 300 or case.status >= 400], ids=str)
def test_an_error_with_http_200_is_still_that_error(case: Case) -> None:
    expected = case.kind
    if case.rule == "refused_with_5xx":
        expected = Kind.REFUSED  # only the 5xx made it doubtful
    assert read(case.body, status=200).kind is expected


@pytest.mark.fault("F35", "F36")
@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "empty_body"),
        (b"   \n", "empty_body"),
        (b"<html><body>Sorry, something went wrong.</body></html>", "not_json"),
        (b'{"data": [{"id": "1"}, {"id"', "not_json"),
        (b'{"id": "1"', "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b'{"spend": NaN}', "not_json"),
        (b'{"spend": Infinity}', "not_json"),
        (b'{"spend": 1e999}', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not_json"),
        (b"null", "bare_value"),
        (b"false", "bare_value"),
        (b'"ok"', "bare_value"),
        (b"17", "bare_value"),
        (b'{"error": null}', "error_malformed"),
        (b'{"data": [], "error": null}', "error_malformed"),
        (b'{"error": []}', "error_malformed"),
        (b'{"error": true}', "error_malformed"),
        (b'{"error": "invalid_request"}', "error_is_text"),
        (b'{"error": {}}', "error_without_code"),
        (b'{"error": {"code": null}}', "error_without_code"),
        (b'{"error": {"code": "abc"}}', "error_without_code"),
        (b'{"error": {"code": true}}', "error_without_code"),
        (b'{"error": {"code": ' + b"1" * 30 + b"}}", "error_without_code"),
        (b'{"success": false}', "success_false"),
        (b'{"success": "false"}', "success_false"),
        (b'{"success": null}', "success_false"),
        (b'{"success": {}}', "success_false"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_odd_body_is_unknown_and_never_ok(body: bytes, rule: str, status: int) -> None:
    answer = read(body, status=status)
    assert answer.kind is Kind.UNKNOWN
    if status == 200:
        assert answer.rule == rule


@pytest.mark.parametrize(
    "body", [b'{"success": true}', b'{"success": "true"}', b'{"id": "1"}', b"true", b"[]", b"{}"]
)
def test_a_plain_success_is_ok_only_with_a_2xx(body: bytes) -> None:
    assert read(body).kind is Kind.OK
    for status in (0, 199, 301, 302, 400, 404, 500, 502, 503):
        assert read(body, status=status).kind is Kind.UNKNOWN


@pytest.mark.fault("F35")
def test_json_that_calls_itself_html_is_not_trusted() -> None:
    assert read(b'{"id": "1"}', kind="text/html; charset=utf-8").rule == "html"


@pytest.mark.fault("F36")
def test_codes_may_arrive_as_strings() -> None:
    answer = read({"error": {"code": "190", "error_subcode": "463", "message": "x"}}, status=400)
    assert (answer.kind, answer.code, answer.subcode, answer.definite) == (Kind.AUTH, 190, 463, True)


@pytest.mark.fault("F36")
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"blame_field_specs": [["daily_budget"]]}, ("daily_budget",)),
        ('{"blame_field_specs":[["targeting","geo_locations"]]}', ("targeting.geo_locations",)),
        ("garbage{", ()),
        (None, ()),
        ([], ()),
        ({"blame_field_specs": "x"}, ()),
        ({"blame_field_specs": [[1, None], "x", []]}, ("",)),
    ],
)
def test_blame_is_read_from_an_object_or_a_json_string(data: Any, expected: tuple[str, ...]) -> None:
    answer = read({"error": {"code": 100, "message": "x", "error_data": data}}, status=400)
    assert answer.blame == expected


def test_a_429_without_a_code_is_a_throttle() -> None:
    answer = errors.classify(
        status=429, content_type="text/html", body=b"slow", headers={"Retry-After": "120"}
    )
    assert (answer.kind, answer.retry_after) == (Kind.THROTTLED, 120.0)


@pytest.mark.fault("F42")
def test_an_ad_set_that_had_four_budget_changes_waits_for_an_hour() -> None:
    answer = read({"error": {"code": 613, "error_subcode": 1487632, "message": "x"}}, status=400)
    error = errors.error_for(answer)
    assert isinstance(error, errors.Throttled)
    assert error.retry_after == 3600.0


@pytest.mark.parametrize(
    ("code", "subcode", "expected"),
    [(4, None, "app"), (341, None, "app"), (17, 2446079, "account"), (80004, 2446079, "account"),
     (613, 1487632, "object"), (613, 1487225, "object"), (17, 1885172, "object"), (190, 463, "")],
)  # fmt: skip
def test_a_throttle_says_who_has_to_wait(code: int, subcode: int | None, expected: str) -> None:
    error = {"code": code, "error_subcode": subcode, "message": "x"}
    assert read({"error": error}, status=400).throttles == expected


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_kind_has_its_exception_class(case: Case) -> None:
    classes = {
        Kind.REFUSED: errors.Refused,
        Kind.THROTTLED: errors.Throttled,
        Kind.AUTH: errors.AuthFailed,
        Kind.NOT_PERMITTED: errors.NotPermitted,
        Kind.TRANSIENT: errors.TooMuchData if case.reduce else errors.Transient,
        Kind.UNKNOWN: errors.Unknown,
    }
    error = errors.error_for(read(case.body, status=case.status))
    assert type(error) is classes[case.kind]
    assert str(case.code) in str(error)


def test_an_exception_survives_pickling() -> None:
    error = errors.error_for(read(CASES[0].body, status=500))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_an_ok_answer_is_no_error() -> None:
    with pytest.raises(ValueError, match="no error"):
        errors.error_for(read({"id": "1"}))


def test_only_usage_and_version_headers_and_the_date_are_kept() -> None:
    headers = {"X-App-Usage": "{}", "Set-Cookie": "secret", "x-ad-api-version-warning": "soon", "Date": "x"}
    answer = errors.classify(status=200, content_type="", body=b"{}", headers=headers)
    assert dict(answer.headers) == {"x-app-usage": "{}", "x-ad-api-version-warning": "soon", "date": "x"}


CANARY = "EAACanaryCanaryCanaryCanary1234567890"


@pytest.mark.parametrize(
    "text",
    [
        f"Malformed access token {CANARY}",
        f"bad url https://graph.facebook.com/v26.0/me?access_token={CANARY}&x=1",
        f"access_token={CANARY}",
        f'{{"access_token": "{CANARY}"}}',
        f"Authorization: Bearer {CANARY}",
        "client_secret=CanarySecretValue rest",
        "code=CanarySecretValue#_=_",
        "appsecret_proof=CanarySecretValue",
        "app 123456789|CanarySecretValue-x",
        "proof " + "c0ffee" * 10 + "abcd",
    ],
)
def test_texts_of_meta_never_carry_a_secret_on(text: str) -> None:
    envelope = {"error": {"code": 190, "message": text, "error_user_msg": text, "error_user_title": text}}
    answer = read(envelope, status=400)
    shown = f"{answer!r} {errors.error_for(answer)} {errors.error_for(answer)!r} {answer.user_title}"
    for secret in (CANARY, "CanarySecretValue", "c0ffeec0ffee"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text", ["error code: 1487007", "(#100) code=33 of 3", "Invalid parameter: daily_budget"]
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert read({"error": {"code": 100, "message": text}}, status=400).message == text


def test_a_secret_that_is_known_is_hidden_whatever_its_shape() -> None:
    body = json.dumps({"error": {"code": 190, "message": "token tom-and-jerry is bad"}}).encode()
    answer = errors.classify(status=400, content_type="", body=body, headers={}, secrets=("tom-and-jerry",))
    assert answer.message == "token [hidden] is bad"


def test_a_text_of_the_wire_fits_a_database_column() -> None:
    body = b'{"error": {"code": 100, "message": "a\\u0000b\\ud800c' + b"x" * 9000 + b'"}}'
    answer = read(body, status=400)
    assert "\x00" not in answer.message
    answer.message.encode("utf-8")
    assert len(answer.message) == 500


@pytest.mark.fault("F49")
def test_error_2635_says_which_version_to_set() -> None:
    assert "META_GRAPH_VERSION" in read({"error": {"code": 2635, "message": "x"}}, status=400).advice


def test_a_missing_object_is_marked_for_a_second_look() -> None:
    assert read({"error": {"code": 100, "error_subcode": 33, "message": "x"}}, status=400).maybe_gone
    assert not read({"error": {"code": 100, "message": "x"}}, status=400).maybe_gone
