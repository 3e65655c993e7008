"""What we ask for exists in v26.0, judged by the official SDK's own lists."""

from __future__ import annotations

from datetime import date

import pytest

from metaads.graph import fields

sdk = pytest.importorskip("facebook_business.adobjects")


@pytest.mark.parametrize(
    ("asked", "module", "name"),
    [
        (fields.AD_ACCOUNT, "adaccount", "AdAccount"),
        (fields.CAMPAIGN, "campaign", "Campaign"),
        (fields.AD_SET, "adset", "AdSet"),
        (fields.AD, "ad", "Ad"),
        (fields.CREATIVE, "adcreative", "AdCreative"),
        (fields.INSIGHTS, "adsinsights", "AdsInsights"),
        (fields.INSIGHTS_HOURLY, "adsinsights", "AdsInsights"),
        (fields.ACTIVITY, "adactivity", "AdActivity"),
        (fields.REPORT_RUN, "adreportrun", "AdReportRun"),
    ],
)
def test_every_field_is_one_that_the_sdk_of_v26_knows(asked: tuple[str, ...], module: str, name: str) -> None:
    imported = __import__(f"facebook_business.adobjects.{module}", fromlist=[name])
    kind = getattr(imported, name)
    known = {value for key, value in vars(kind.Field).items() if not key.startswith("_")}
    assert set(asked) - known == set()
    assert len(set(asked)) == len(asked)


def test_hourly_rows_ask_for_nothing_that_meta_cannot_say_per_hour() -> None:
    refused = [name for name in fields.INSIGHTS_HOURLY if name.startswith(("video_", "unique_"))]
    assert refused == []
    assert not {"reach", "frequency"} & set(fields.INSIGHTS_HOURLY)
    from facebook_business.adobjects.adsinsights import AdsInsights

    assert getattr(AdsInsights.Breakdowns, fields.HOURLY) == fields.HOURLY


def test_no_ratio_is_asked_for_because_we_divide_ourselves() -> None:
    assert not {"ctr", "cpc", "cpm", "cpp", "purchase_roas"} & set(fields.INSIGHTS)


def test_a_question_about_insights_always_names_its_days() -> None:
    params = fields.insights_params(
        level="campaign", since=date(2026, 11, 1), until="2026-11-01", fields=("spend",)
    )
    assert params["time_range"] == {"since": "2026-11-01", "until": "2026-11-01"}
    assert "date_preset" not in params
    assert "breakdowns" not in params


@pytest.mark.parametrize(
    ("level", "since", "until"), [("ads", "2026-11-01", "2026-11-02"), ("ad", "2026-11-02", "2026-11-01")]
)
def test_a_question_that_makes_no_sense_is_not_asked(level: str, since: str, until: str) -> None:
    with pytest.raises(ValueError):
        fields.insights_params(level=level, since=since, until=until, fields=("spend",))
