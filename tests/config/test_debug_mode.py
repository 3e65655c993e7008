"""The brief's debug mode in a real process: DEBUG=true or LOG_LEVEL=DEBUG tell of every call to Meta, of no secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.env import ROOT
from metaads.sandbox.app import Sandbox, serve
from metaads.sandbox.world.people import proof
from tests.processes import environment, migrate

pytestmark = pytest.mark.prove
SECRET = "sandbox-secret"
FOUND = """
from accounts.models import Client, Membership, Role, User
Membership.objects.create(user=User.objects.create_user("alice@example.com", "correct horse"), role=Role.OWNER)
Client.objects.create(name="Northwind", slug="northwind")
"""


@pytest.fixture(scope="module")
def meta() -> Iterator[tuple[Sandbox, str]]:
    """The sandbox on a real port, so that the real wire logs."""
    box = Sandbox(world="tiny", seed=7)
    server = serve(box, port=0, silence=0.2)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield box, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(scope="module")
def installation(meta: tuple[Sandbox, str], tmp_path_factory: Any) -> dict[str, str]:
    environ = environment(
        tmp_path_factory.mktemp("debug"),
        META_APP_ID="1000000000000001",
        META_APP_SECRET=SECRET,
        META_GRAPH_URL=meta[1],
    )
    migrate(environ)
    run(environ, "shell", "-v", "0", "-c", FOUND)
    return environ


def run(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def taken_over(
    meta: tuple[Sandbox, str], installation: dict[str, str], folder: Path, **variables: str
) -> tuple[str, list[str]]:
    """What `import_config` and the doctor print and log, and what must not be in it."""
    box, _ = meta
    token = box.token("alice")
    file = folder / "agent.json"
    entry = {"ad_account_id": box.ad_accounts()[0], "access_token": token, "client": "northwind"}
    file.write_text(json.dumps(entry))
    environ = {**installation, **variables}
    said = run(environ, "import_config", str(file), "--again") + run(environ, "doctor")
    assert "Tiny Teapots" in said and "Meta login fails" in said
    keys = [path.read_text().strip() for path in Path(environ["VAR_DIR"]).joinpath("keys").iterdir()]
    return said, [token, proof(token, secret=SECRET), SECRET, *keys]


@pytest.mark.parametrize(
    "variables",
    [{"DEBUG": "true", "NODE_ENV": "development"}, {"LOG_LEVEL": "DEBUG"}, {"DEBUG": "true", "LOG_LEVEL": "DEBUG"}],
    ids=["the brief's", "the level", "both"],
)  # fmt: skip
def test_debug_mode_tells_of_every_call_and_of_no_secret(meta, installation, tmp_path, variables):
    said, secrets = taken_over(meta, installation, tmp_path, **variables)
    for path in ("oauth/access_token", "debug_token", "me/adaccounts", "me/permissions"):
        assert re.search(rf'DEBUG urllib3\.connectionpool .*"GET /v26\.0/{path}\?\[hidden\]', said), path
    assert not [secret for secret in secrets if secret in said]
    assert not re.search(r"EAAS[A-Za-z0-9_\-]{8,}|appsecret_proof=(?!\[)", said)
    assert "INSERT INTO" not in said and "SELECT " not in said  # statements hold stored values


def test_without_debug_nothing_is_told_of_calls(meta, installation, tmp_path):
    said, secrets = taken_over(meta, installation, tmp_path, NODE_ENV="development")
    assert " DEBUG " not in said and "urllib3" not in said
    assert not [secret for secret in secrets if secret in said]


def test_the_level_goes_before_debug(meta, installation, tmp_path):
    said, _ = taken_over(meta, installation, tmp_path, DEBUG="true", LOG_LEVEL="WARNING")
    assert " DEBUG " not in said and " INFO " not in said


def test_a_failing_call_is_told_without_its_token_as_well(meta, installation, tmp_path):
    box, _ = meta
    box.faults.arm("html", {"path": "debug_token"}, times=None)
    token = box.token("alice")
    (tmp_path / "agent.json").write_text(
        json.dumps({"ad_account_id": box.ad_accounts()[0], "access_token": token, "client": "northwind"})
    )
    said = run({**installation, "DEBUG": "true"}, "import_config", str(tmp_path / "agent.json"), "--again")
    box.faults.disarm(None, at=box.clock.timestamp())
    assert "Meta did not answer." in said and "502" in said
    assert token not in said and SECRET not in said
