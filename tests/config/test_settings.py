"""Settings of one installation, started as a process: keys, forms, production."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.env import ROOT
from tests.production_environment import environment

SHOW = """
import json
from config import settings
print(json.dumps({name: getattr(settings, name) for name in NAMES}, default=str))
"""


def settings_of(tmp_path: Path, *names: str, **variables: str) -> dict[str, Any]:
    """The named settings of a fresh process that has only these variables."""
    done = run(tmp_path, f"NAMES = {list(names)!r}\n{SHOW}", **variables)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def run(tmp_path: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), **variables},
    )  # fmt: skip


def test_with_nothing_set_the_embedded_form_generates_its_keys_once_for_nobody_else(tmp_path: Path) -> None:
    names = ("EMBEDDED", "GENERATED_KEYS", "SECRET_KEY", "FERNET_KEYS")
    first, second = settings_of(tmp_path, *names), settings_of(tmp_path, *names)
    assert first["EMBEDDED"] is True
    assert first["GENERATED_KEYS"] == ["SECRET_KEY", "FERNET_KEYS", "JWT_PRIVATE_KEY"]
    assert first == second, "the second start reads what the first wrote"
    for path in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert len(list((tmp_path / "keys").iterdir())) == 3


def test_mails_without_a_server_are_files_that_nobody_else_may_read(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "EMAIL_FILE_PATH")["EMAIL_FILE_PATH"] == str(tmp_path / "mail")
    assert stat.S_IMODE((tmp_path / "mail").stat().st_mode) == 0o700, "they hold one-time links"
    given = settings_of(
        tmp_path / "other", "EMAIL_BACKEND", "EMAIL_USE_TLS", "EMAIL_TIMEOUT", **environment()
    )
    assert given == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_USE_TLS": True,
        "EMAIL_TIMEOUT": 10,
    }


def test_given_keys_are_used_and_nothing_is_written(tmp_path: Path) -> None:
    given = environment()
    found = settings_of(tmp_path, "GENERATED_KEYS", "SECRET_KEY", "HEADLESS_JWT_PRIVATE_KEY", **given)
    assert found["GENERATED_KEYS"] == [] and found["SECRET_KEY"] == given["SECRET_KEY"]
    assert found["HEADLESS_JWT_PRIVATE_KEY"].count("\n") > 20, "written on one line, read as a PEM"
    assert not (tmp_path / "keys").exists()


def test_both_servers_make_the_server_form(tmp_path: Path) -> None:
    found = settings_of(tmp_path, "EMBEDDED", "CELERY", "DATABASES", **environment())
    assert found["EMBEDDED"] is False
    assert found["CELERY"]["broker_url"].startswith("redis://")
    assert found["CELERY"]["broker_transport_options"]["visibility_timeout"] == 600
    assert found["DATABASES"]["default"]["ENGINE"].endswith("postgresql")


@pytest.mark.fault("F104")
def test_sqlite_loses_no_committed_row_to_a_power_cut(tmp_path: Path) -> None:
    options = settings_of(tmp_path, "DATABASES")["DATABASES"]["default"]["OPTIONS"]
    assert "synchronous=FULL" in options["init_command"] and "journal_mode=WAL" in options["init_command"]
    assert options["transaction_mode"] == "IMMEDIATE"


def test_https_makes_cookies_and_headers_strict(tmp_path: Path) -> None:
    names = (
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SESSION_COOKIE_NAME",
        "SECURE_HSTS_SECONDS",
        "SECURE_SSL_REDIRECT",
    )
    assert settings_of(tmp_path, *names, PUBLIC_URL="https://ads.example.com") == {
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SESSION_COOKIE_NAME": "__Host-session",
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SECURE_SSL_REDIRECT": True,
    }


def test_forwarded_headers_are_believed_only_behind_a_proxy(tmp_path: Path) -> None:
    show = "from config import settings; print(hasattr(settings, 'SECURE_PROXY_SSL_HEADER'))"
    assert run(tmp_path, show).stdout.strip() == "False"
    assert run(tmp_path, show, TRUSTED_PROXIES="1").stdout.strip() == "True"


def test_a_variable_that_cannot_be_used_stops_the_start_with_its_name(tmp_path: Path) -> None:
    done = run(tmp_path, "import config.settings", POLL_SECONDS="half a minute")
    assert done.returncode != 0 and "POLL_SECONDS must be a whole number" in done.stderr


def deploy_check(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), **variables},
    )  # fmt: skip


def test_the_deployment_check_is_clean_under_a_complete_production_environment(tmp_path: Path) -> None:
    done = deploy_check(tmp_path, **environment())
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize(
    ("name", "value", "identity"),
    [
        ("DEBUG", "true", "metaads.E020"),
        ("PUBLIC_URL", "http://ads.example.com", "metaads.E021"),
        ("FERNET_KEYS", "", "metaads.E022"),
        ("SETTLE_SECONDS", "30", "metaads.E023"),
        ("REDIS_URL", "", "metaads.E001"),
        ("POLL_SECONDS", "5", "metaads.E004"),
    ],
)
def test_one_wrong_variable_in_production_is_refused(
    tmp_path: Path, name: str, value: str, identity: str
) -> None:
    done = deploy_check(tmp_path, **{**environment(), name: value})
    assert done.returncode != 0 and identity in done.stderr, done.stderr[-4000:]


def test_a_probe_over_plain_http_is_answered_and_a_page_is_sent_to_https(tmp_path: Path) -> None:
    code = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
from django.test import Client
here = Client(headers={"Host": "127.0.0.1"})
print(here.get("/livez").status_code, here.get("/api/docs/").status_code)
"""
    assert run(tmp_path, code, PUBLIC_URL="https://ads.example.com").stdout.split() == ["200", "301"]


def test_a_client_s_address_is_not_taken_from_a_header_that_anybody_may_write(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "REST_FRAMEWORK")["REST_FRAMEWORK"]["NUM_PROXIES"] == 0
