"""What people run agrees with what the code is: locks, Makefile, compose file, CI."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.celery import QUEUES
from config.env import ROOT, VARIABLES
from config.server import commands

#: The ten packages that the product's brief names; django-fernet-fields under its maintained name.
BRIEF = (
    "django", "djangorestframework", "django-allauth", "celery", "redis", "requests", "django-fernet-fields-v2",
    "channels", "pytest-django", "responses",
)  # fmt: skip


def pinned(name: str) -> dict[str, str]:
    return dict(
        re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)", (ROOT / name).read_text(), flags=re.MULTILINE)
    )


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.mark.parametrize("package", BRIEF)
def test_every_package_of_the_brief_is_in_the_run_time_lock(package: str) -> None:
    assert package in pinned("requirements.txt")


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_hashes_and_no_index_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert blocks and all("==" in block and "--hash=sha256:" in block for block in blocks)
    assert "http://" not in text and "https://" not in text and "--index" not in text


def test_the_development_lock_and_the_run_time_lock_never_disagree() -> None:
    runtime, development = pinned("requirements.txt"), pinned("requirements-dev.txt")
    assert {
        name: version for name, version in development.items() if runtime.get(name, version) != version
    } == {}


def test_the_official_sdk_and_daphne_are_not_shipped() -> None:
    assert not {"facebook-business", "daphne", "playwright"} & pinned("requirements.txt").keys()


def test_every_target_that_people_are_told_about_exists() -> None:
    text = (ROOT / "Makefile").read_text()
    defined = set(re.findall(r"^([a-z-]+):(?!=)", text, flags=re.MULTILINE))
    assert {"demo", "test", "prove", "check", "fix", "server", "run", "browser", "lock"} <= defined
    told: set[str] = set()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / ".ci" / "run",
        *(ROOT / "docs").glob("*.md"),
    ):
        if path.is_file():
            told |= set(re.findall(r"(?:`|-- |^ {4})make ([a-z-]+)", path.read_text(), flags=re.MULTILINE))
    assert told - defined == set()


def test_make_help_prints_the_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make demo" in done.stdout and "make server" in done.stdout


def test_a_wrong_python_is_named_with_the_way_out(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "install", "PYTHON=/bin/true-python", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and "3.11" in done.stderr and "Traceback" not in done.stderr


def test_a_busy_port_is_named_with_the_variable_that_moves_it() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            ["make", "run", f"PORT={port}", "RUNTIME="],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert f"Port {port} is taken" in done.stderr and f"PORT={port + 1}" in done.stderr


# --- docker-compose.yml


def test_compose_runs_the_processes_of_the_native_server_form() -> None:
    services = compose()["services"]
    for name, arguments in commands(host="0.0.0.0", port=8000, web=2).items():
        assert services[name]["command"].split() == ["python", *arguments], name


def test_compose_has_every_part_and_the_sandbox_only_on_demand() -> None:
    services = compose()["services"]
    assert set(services) == {
        "web", "worker-control", "worker-sync", "worker-reports", "beat", "watchdog", "migrate", "postgres",
        "redis", "sandbox",
    }  # fmt: skip
    assert services["sandbox"]["profiles"] == ["sandbox"]
    assert [name for name, one in services.items() if one.get("profiles")] == ["sandbox"]


def test_the_watchdog_waits_for_nothing_that_it_watches() -> None:
    assert set(compose()["services"]["watchdog"]["depends_on"]) == {"migrate"}
    assert set(compose()["services"]["worker-sync"]["depends_on"]) == {"migrate", "redis"}


def test_every_queue_is_served_by_exactly_one_worker() -> None:
    served: list[str] = []
    for name, one in compose()["services"].items():
        if name.startswith("worker-"):
            served += re.search(r"-Q (\S+)", one["command"])[1].split(",")  # type: ignore[index]
    assert sorted(served) == sorted(QUEUES)


def test_compose_names_only_variables_that_exist() -> None:
    known = {variable.name for variable in VARIABLES} | {"POSTGRES_PASSWORD"}
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) <= known
    for name, one in compose()["services"].items():
        if name != "postgres":
            assert set(one.get("environment", {})) <= known, name


def test_processes_have_time_to_finish_the_request_they_began() -> None:
    for name, one in compose()["services"].items():
        if name.startswith(("worker-", "web")):
            assert one["stop_grace_period"] == "60s", name


def test_the_image_runs_as_nobody_special_and_installs_the_lock() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "USER metaads" in text and "--require-hashes" in text
    assert text.index("USER metaads") < text.index("CMD")


def test_secrets_do_not_get_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", "var", ".git"} <= set(ignored)


def test_git_ignores_what_runs_leave_behind() -> None:
    paths = [
        ".env",
        "var/metaads.sqlite3",
        "node_modules/x",
        ".venv/bin/python",
        ".hypothesis/x",
        "test-results/x",
    ]
    done = subprocess.run(
        ["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == paths


def test_the_ci_run_covers_every_leg() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    for leg in (
        "make test",
        "make check",
        "make browser",
        "make prove",
        "TEST_DATABASE_URL=",
        "TEST_REDIS_URL=",
    ):
        assert leg in text
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
