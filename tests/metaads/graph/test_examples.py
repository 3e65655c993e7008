"""Every JSON example of the reference (docs/meta.md) is read as the reference says."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from metaads.graph import money, oauth, paging, report_runs, usage
from metaads.graph.batch import Read
from metaads.graph.client import GraphClient
from metaads.graph.errors import Kind, classify
from metaads.graph.writer import GraphWriter
from tests.metaads.graph.wire import TOKEN, scripted

# Section 2.2
DEBUG_TOKEN = """{"data":{"app_id":"1112223334445","type":"USER","application":"Sandbox App",
 "data_access_expires_at":1803200000,"expires_at":1798000000,"issued_at":1792800000,
 "is_valid":true,"scopes":["ads_management","ads_read","public_profile"],
 "granular_scopes":[{"scope":"ads_management","target_ids":["123456789"]},{"scope":"ads_read"}],
 "user_id":"10200000000000001"}}"""
# Section 3.1
ERROR = """{"error":{"message":"(#80004) There have been too many calls to this ad-account. Wait a bit and try again.",
 "type":"OAuthException","is_transient":true,"code":80004,"error_subcode":2446079,
 "error_user_title":"Too many calls","error_user_msg":"Wait a bit and try again.",
 "error_data":{"blame_field_specs":[["daily_budget"]]},"fbtrace_id":"AbCdEf123"}}"""
# Section 4.1
BUC = """{"123456789":[{"type":"ads_management","call_count":95,"total_cputime":20,"total_time":20,
  "estimated_time_to_regain_access":0,"ads_api_access_tier":"development_access"},
 {"type":"ads_insights","call_count":12,"total_cputime":3,"total_time":4,
  "estimated_time_to_regain_access":0,"ads_api_access_tier":"development_access"}]}"""
# Section 5.4
ROW = """{"data":[{"account_id":"123","campaign_id":"10","adset_id":"20","ad_id":"30","ad_name":"Blue shoe",
  "impressions":"18342","reach":"15210","frequency":"1.205917","clicks":"402","inline_link_clicks":"311",
  "spend":"128.47","cpc":"0.319577","cpm":"7.004144","ctr":"2.191691","account_currency":"USD",
  "actions":[{"action_type":"link_click","value":"311"},
             {"action_type":"omni_purchase","value":"7","7d_click":"6","1d_view":"1"}],
  "quality_ranking":"ABOVE_AVERAGE","date_start":"2026-11-14","date_stop":"2026-11-20"}],
 "paging":{"cursors":{"before":"MAZDZD","after":"MAZDZD"}}}"""
# Section 6.1
MINIMUM = """{"data":[{"currency":"USD","min_daily_budget_imp":100},{"currency":"JPY","min_daily_budget_imp":110}]}"""
# Section 6.8
COPIES = """{"copied_campaign_id":"120210000000000011",
 "ad_object_ids":[{"ad_object_type":"campaign","source_id":"10","copied_id":"120210000000000011"},
                  {"ad_object_type":"ad_set","source_id":"20","copied_id":"120210000000000012"}]}"""
# Section 7.2
BATCH = r"""[{"code":200,"headers":[{"name":"Content-Type","value":"application/json"},
   {"name":"X-Business-Use-Case-Usage","value":"{\"123\":[{\"type\":\"ads_management\",\"call_count\":2}]}"}],
  "body":"{\"id\":\"10\",\"name\":\"Spring\"}"},
 {"code":400,"headers":[],
  "body":"{\"error\":{\"message\":\"x\",\"type\":\"OAuthException\",\"code\":100,\"fbtrace_id\":\"A\"}}"}]"""
# Section 8.1
PAGE = """{"data":[{"id":"10"}],"paging":{"cursors":{"before":"QVFI","after":"QVFJ"},
 "next":"https://graph.facebook.com/v26.0/act_1/campaigns?access_token=EAAX&limit=25&after=QVFJ"}}"""
# Section 5.7
RUN = """{"id":"6044000000000","account_id":"101","time_ref":1795000000,"time_completed":1795000062,
 "async_status":"Job Completed","async_percent_completion":100}"""


def test_section_2_2_a_token_is_described() -> None:
    transport, _ = scripted([DEBUG_TOKEN.encode()])
    info = oauth.debug_token(transport, TOKEN)
    assert (info.is_valid, info.user_id, info.type) == (True, "10200000000000001", "USER")


def test_section_3_1_the_envelope_is_read_whole() -> None:
    answer = classify(status=400, content_type="application/json", body=ERROR.encode(), headers={})
    assert (answer.kind, answer.code, answer.subcode, answer.trace_id) == (
        Kind.THROTTLED,
        80004,
        2446079,
        "AbCdEf123",
    )
    assert (answer.user_title, answer.user_message) == ("Too many calls", "Wait a bit and try again.")
    assert answer.blame == ("daily_budget",)


@pytest.mark.parametrize(
    ("name", "value", "percent", "tier"),
    [
        ("X-App-Usage", '{"call_count":28,"total_time":25,"total_cputime":25}', 28.0, None),
        (
            "X-Ad-Account-Usage",
            '{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"standard_access"}',
            9.67,
            "standard_access",
        ),
        ("X-Business-Use-Case-Usage", BUC, 95.0, "development_access"),
        (
            "X-FB-Ads-Insights-Throttle",
            '{"app_id_util_pct":100,"acc_id_util_pct":10,"ads_api_access_tier":"standard_access"}',
            100.0,
            "standard_access",
        ),
    ],
)
def test_section_4_1_each_header_is_read(name: str, value: str, percent: float, tier: str | None) -> None:
    found = usage.parse({name: value})
    assert (found.percent, found.tier, found.known) == (percent, tier, True)


def test_section_5_4_a_row_keeps_its_strings_and_they_read_as_exact_decimals() -> None:
    transport, _ = scripted([ROW.encode()])
    pages = GraphClient(transport, TOKEN).insights(
        "act_123", level="ad", since="2026-11-14", until="2026-11-20", fields=("spend",)
    )
    [[row]] = list(pages)
    assert row["spend"] == "128.47"
    assert money.parse_major(row["spend"]) == Decimal("128.47")
    assert money.parse_major(row["impressions"]) == Decimal(18342)


def test_section_5_7_a_run_is_done() -> None:
    transport, _ = scripted([RUN.encode()])
    assert report_runs.poll(transport, TOKEN, "6044000000000", age_seconds=62).status == "done"


def test_section_6_1_minimum_budgets_are_minor_units() -> None:
    transport, _ = scripted([MINIMUM.encode()])
    rows = GraphClient(transport, TOKEN).edge("act_1", "minimum_budgets", fields=())
    smallest = {
        row["currency"]: money.from_minor(row["min_daily_budget_imp"], row["currency"]) for row in rows
    }
    assert smallest == {"USD": Decimal("1.00"), "JPY": Decimal(110)}


def test_section_6_8_an_answer_about_other_objects_does_not_acknowledge_a_change() -> None:
    transport, _ = scripted([COPIES.encode()])
    assert GraphWriter(transport, TOKEN).update("10", {"status": "PAUSED"}).kind is Kind.UNKNOWN


@pytest.mark.parametrize(("body", "kind"), [('{"success":true}', Kind.OK), ('{"id":"20"}', Kind.OK)])
def test_section_6_9_an_update_is_acknowledged(body: str, kind: Kind) -> None:
    transport, _ = scripted([body.encode()])
    assert GraphWriter(transport, TOKEN).update("20", {"daily_budget": 2500}).kind is kind


def test_section_7_2_a_batch_is_taken_apart() -> None:
    transport, _ = scripted([BATCH.encode()])
    answers = GraphClient(transport, TOKEN).batch([Read("10"), Read("20")])
    assert [answer.kind for answer in answers] == [Kind.OK, Kind.REFUSED]
    assert usage.parse(answers[0].headers).percent == 2.0


def test_section_8_1_a_page_gives_its_cursor_and_nothing_of_its_address() -> None:
    answer = classify(status=200, content_type="application/json", body=PAGE.encode(), headers={})
    assert paging.next_cursor(answer) == "QVFJ"
    assert paging.rows_of(answer) == [{"id": "10"}]
    assert "EAAX" not in repr(answer)


@pytest.mark.parametrize("text", [DEBUG_TOKEN, ROW, MINIMUM, COPIES, BATCH, PAGE, RUN])
def test_each_example_is_a_plain_ok_and_cut_anywhere_it_is_not(text: str) -> None:
    def kind(body: bytes) -> Any:
        return classify(status=200, content_type="application/json", body=body, headers={}).kind

    raw = text.encode()
    assert kind(raw) is Kind.OK
    json.loads(raw)
    for end in range(len(raw)):
        assert kind(raw[:end]) is Kind.UNKNOWN
