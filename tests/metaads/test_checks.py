"""Wrong combinations of settings are named, with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage

from metaads.checks import combinations, deployment


def ids(found: list[CheckMessage]) -> set[str]:
    assert all(one.hint for one in found), "every finding says what to do"
    return {str(one.id) for one in found}


def meta(settings: Any, **parts: str) -> None:
    settings.META = {**settings.META, **parts}


def test_the_settings_as_shipped_have_nothing_wrong_but_the_missing_app(settings: Any) -> None:
    assert ids(combinations(None)) == set()
    meta(settings, app_id="", app_secret="")
    [warning] = combinations(None)
    assert warning.id == "metaads.W001"
    assert "META_APP_ID" in warning.msg and "META_APP_SECRET" in warning.msg


def test_only_the_variable_that_is_missing_is_named(settings: Any) -> None:
    meta(settings, app_secret="")
    [warning] = combinations(None)
    assert "META_APP_SECRET" in warning.msg and "META_APP_ID" not in warning.msg


@pytest.mark.parametrize(("given", "missing"), [("DATABASE_URL", "REDIS_URL"), ("REDIS_URL", "DATABASE_URL")])
def test_one_server_without_the_other_is_an_error(settings: Any, given: str, missing: str) -> None:
    settings.ENV = {**settings.ENV, given: "x", missing: ""}
    [error] = combinations(None)
    assert error.id == "metaads.E001" and error.msg.startswith(given) and missing in error.msg


@pytest.mark.fault("F49")
@pytest.mark.parametrize("version", ["v18.0", "v24.0"])
def test_a_retired_version_is_a_warning_that_names_a_living_one(settings: Any, version: str) -> None:
    meta(settings, version=version)
    [warning] = combinations(None)
    assert warning.id == "metaads.W002" and version in warning.msg and "v26.0" in str(warning.hint)


@pytest.mark.parametrize("version", ["26", "v26", "26.0", "latest", "v26.0/"])
def test_a_version_of_unknown_shape_is_an_error(settings: Any, version: str) -> None:
    meta(settings, version=version)
    assert ids(combinations(None)) == {"metaads.E002"}


@pytest.mark.parametrize("name", ["graph_url", "dialog_url"])
def test_an_address_with_a_path_is_an_error_that_names_its_variable(settings: Any, name: str) -> None:
    meta(settings, **{name: "https://graph.facebook.com/v26.0"})
    [error] = combinations(None)
    assert error.id == "metaads.E003" and f"META_{name.upper()}" in error.msg


@pytest.mark.parametrize(
    ("setting", "value", "identity"),
    [
        ("POLL_SECONDS", 29, "metaads.E004"),
        ("SETTLE_SECONDS", 0, "metaads.E005"),
        ("LOOKBACK_DAYS", 0, "metaads.E006"),
        ("LOOKBACK_DAYS", 38, "metaads.E006"),
        ("FIRST_SYNC_DAYS", 0, "metaads.E007"),
        ("FIRST_SYNC_DAYS", 1121, "metaads.E007"),
    ],
)
def test_figures_out_of_range_are_errors(settings: Any, setting: str, value: int, identity: str) -> None:
    setattr(settings, setting, value)
    assert ids(combinations(None)) == {identity}


def test_production_refuses_each_thing_that_is_fine_at_home(settings: Any) -> None:
    settings.PRODUCTION = True
    settings.DEBUG = True
    settings.PUBLIC_URL = "http://ads.example.com"
    settings.GENERATED_KEYS = ["FERNET_KEYS"]
    settings.SETTLE_SECONDS = 59
    meta(settings, graph_url="http://127.0.0.1:8010")
    assert ids(combinations(None)) == {f"metaads.E0{number}" for number in (20, 21, 22, 23, 24)}
    assert any("FERNET_KEYS" in error.msg for error in combinations(None))


def test_production_done_right_is_clean(settings: Any) -> None:
    settings.PRODUCTION = True
    settings.PUBLIC_URL = "https://ads.example.com"
    settings.GENERATED_KEYS = []
    settings.SETTLE_SECONDS = 60
    assert combinations(None) == [] and deployment(None) == []


def test_a_deployment_check_without_production_says_so(settings: Any) -> None:
    assert ids(deployment(None)) == {"metaads.W010"}


@pytest.mark.fault("F104")
@pytest.mark.parametrize(("kind", "found"), [("nfs4", {"metaads.E008"}), ("ext4", set())])
def test_sqlite_on_a_network_disk_is_refused_wherever_a_link_leads_there(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, found: set[str]
) -> None:
    far, table = tmp_path / "nas", tmp_path / "mounts"
    far.mkdir()
    (tmp_path / "var").symlink_to(far)
    table.write_text(f"/dev/vda1 / ext4 rw 0 0\nnas:/export {far} {kind} rw 0 0\n")
    monkeypatch.setattr("metaads.checks.MOUNTS", table)
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "var" / "metaads.sqlite3"}
    monkeypatch.setitem(settings.DATABASES, "default", database)
    assert ids(combinations(None)) == found
    for error in combinations(None):
        assert str(far) in error.msg and kind in error.msg and "VAR_DIR" in str(error.hint)
    database["ENGINE"] = "django.db.backends.postgresql"
    assert ids(combinations(None)) == set(), "what lies there is not the database"


@pytest.mark.fault("F104")
def test_where_the_system_has_no_table_of_mounts_nothing_is_said(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaads.checks.MOUNTS", tmp_path / "none")
    monkeypatch.setitem(settings.DATABASES, "default", {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"})
    assert ids(combinations(None)) == set()
