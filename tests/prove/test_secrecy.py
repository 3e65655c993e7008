"""The server form as it runs: its processes, PostgreSQL and Redis. A person connects through the dialog, workers
sync, a change is sent and read back, Meta misbehaves, the connection ends; then everything that was written anywhere
is searched for pieces of what passed the wire: Redis as it was spoken to, the database, files, output, command lines.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from config.env import ROOT
from dashboard.management.commands.demo import _Browser
from metaads.sandbox.app import Sandbox, serve
from tests.processes import free_port, migrate, servers, started, wait_ready
from tests.walks.canaries import Canaries, Ear

__all__ = ["servers"]
pytestmark = [
    pytest.mark.prove,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.fault("F91"),
    pytest.mark.fault("N22"),
]

APP_ID = "1000000000000001"
APP_SECRET = "h7Vd2Qm9XsLr4TzWc8KpNy6B"
PASSWORD = "Zq4-tulip-Harbor-93-lantern"
PEOPLE = """
import django; django.setup()
from accounts import access, people
from accounts.models import Client, Role, User
from metaads.clock import now
people.set_up(email="alice@example.com", name="Alice", password={password!r}, client_name="Northwind", now=now())
owner = access.principal_of(User.objects.get(email="alice@example.com"))
people.add(email="bob@example.com", name="Bob", password={password!r}, client=Client.objects.get(), role=Role.BUYER,
           principal=owner, now=now())
"""


@contextmanager
def sandbox_on_a_port(canaries: Canaries) -> Iterator[tuple[Sandbox, int]]:
    box = Sandbox(world="tiny", seed=3, app_id=APP_ID, app_secret=APP_SECRET)
    server = serve(Ear(box, canaries), port=0, silence=1.0)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield box, server.server_port
    server.shutdown()
    thread.join(10)
    server.server_close()


@contextmanager
def overheard(url: str) -> Iterator[list[bytes]]:
    """Every command that reaches this Redis database, as MONITOR shows it: messages, cache, live frames, leases."""
    parts = urlsplit(url)
    line = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
    line.sendall(b"MONITOR\r\n")
    number = parts.path.strip("/") or "0"
    ours, heard, going = f" [{number} ".encode(), list[bytes](), threading.Event()

    def listen() -> None:
        rest = b""
        line.settimeout(0.5)
        while not going.is_set():
            try:
                rest += line.recv(1 << 20)
            except TimeoutError:
                continue
            *whole, rest = rest.split(b"\r\n")
            heard.extend(one for one in whole if ours in one)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        going.set()
        thread.join(10)
        line.close()


def wait(what: Callable[[], Any], why: str, seconds: float = 120) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, why
        time.sleep(0.5)
    return found


def command_lines(pid: int) -> list[bytes]:
    found = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(pid), "--pid", str(pid)], capture_output=True, check=True
    )
    return found.stdout.splitlines()


def test_no_process_writes_a_piece_of_a_secret_anywhere(servers: dict[str, str], tmp_path: Path) -> None:
    canaries = Canaries()
    canaries.plant("app secret", APP_SECRET)
    canaries.plant("password", PASSWORD)
    port = free_port()
    with sandbox_on_a_port(canaries) as (box, graph), overheard(servers["REDIS_URL"]) as spoken:
        environ = {
            **servers,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "META_APP_ID": APP_ID,
            "META_APP_SECRET": APP_SECRET,
            "META_WEBHOOK_VERIFY_TOKEN": "a-verify-token-of-this-run",
            "META_GRAPH_URL": f"http://127.0.0.1:{graph}",
            "META_DIALOG_URL": f"http://127.0.0.1:{graph}",
            "LOG_LEVEL": "DEBUG",
            "LOOKBACK_DAYS": "7",
        }
        migrate(environ)
        people = [sys.executable, "-c", PEOPLE.format(password=PASSWORD)]
        settings = {**environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
        subprocess.run(people, cwd=ROOT, env=settings, check=True, capture_output=True)
        pages: list[tuple[str, bytes]] = []
        with psycopg.connect(servers["DATABASE_URL"], autocommit=True) as database:
            output = tmp_path / "output.txt"
            with started(environ, "-m", "config.server", "--port", str(port)) as group:
                reader = threading.Thread(target=lambda: output.write_text(group.stdout.read()), daemon=True)
                reader.start()
                wait_ready(port, group)
                args = command_lines(group.pid)
                _run(box, f"http://127.0.0.1:{port}", graph, database, pages)
                group.send_signal(signal.SIGINT)
                group.wait(90)
                reader.join(30)
            tables = _tables(database)
    assert {"access_token", "appsecret_proof", "code"} <= canaries.names()
    assert any(b"check_connection" in one or b"evaluate_account" in one for one in spoken), (
        "messages were overheard"
    )
    assert len(args) >= 5 and len(spoken) > 100
    files = [
        (f"file {path.relative_to(tmp_path)}", path.read_bytes())
        for path in tmp_path.rglob("*")
        if path.is_file() and path.parent.name != "keys"
    ]
    text = output.read_text()
    assert "DEBUG" in text and "urllib3" in text, "the processes spoke"
    artefacts = [
        ("redis", b"\n".join(spoken)),
        ("command lines", b"\n".join(args)),
        ("the sandbox's history", json.dumps(box.history, default=str)),
        *tables,
        *files,
        *pages,
    ]
    leaks = canaries.leaks(artefacts)
    assert leaks == [], "\n".join(leaks)


def _run(box: Sandbox, home: str, graph: int, database: Any, pages: list[tuple[str, bytes]]) -> None:
    alice, bob = _signed_in(home, "alice"), _signed_in(home, "bob")
    dialog = alice.press("/connections/connect", client="northwind")
    confirm = alice.submit(dialog, form="redirect_uri", decision="continue")
    pages.append(("confirm page", confirm.content))
    alice.submit(confirm, form="enable")

    def one(asked: str) -> Any:
        row = database.execute(asked).fetchone()
        return row and row[0]

    wait(lambda: one("SELECT 1 FROM accounts_metaconnection WHERE state = 'connected'"), "not connected", 30)
    wait(
        lambda: one("SELECT 1 FROM insights_fetchrun WHERE kind = 'first' AND state = 'done'"), "never synced"
    )
    campaign = wait(
        lambda: one("SELECT meta_id FROM campaigns_campaign WHERE status = 'ACTIVE'"), "no campaign"
    )
    asked = _api(bob, home, f"/api/meta/campaigns/{campaign}/status", {"status": "PAUSED"})
    assert asked.status_code == 202, asked.content
    wait(
        lambda: one("SELECT 1 FROM campaigns_change WHERE state = 'APPLIED'"),
        "the change was not confirmed: " + str(one("SELECT state || error_text FROM campaigns_change")),
        180,
    )
    for path in ("/", "/c/northwind/", "/connections/", "/ledger/", "/connections/doctor/", "/api/changes"):
        pages.append((path, alice.open(path).content))
    for fault in ("dropped", "html", "truncated", "odd_body", "transient", "auth"):
        box.faults.arm(fault, {}, 2)
        pages.append((f"under {fault}", alice.open("/api/meta/validate-token?client=northwind").content))
        uuid = str(one("SELECT uuid FROM accounts_metaconnection"))
        answer = _api(alice, home, "/api/meta-oauth/refresh", {"connection_id": uuid})
        pages.append((f"refresh under {fault}", answer.content))
    box.faults.disarm()
    user = one("SELECT meta_user_id FROM accounts_metaconnection")
    told = {"object": "permissions", "entry_id": user, "changes": [{"field": "ads_read", "value": {}}]}
    made = box.control.handle("POST", "webhook", told)[1]
    posted = bob.session.post(f"{home}/webhooks/meta/", made["body"], headers=made["header"], timeout=30)
    assert posted.status_code == 200
    wait(
        lambda: one("SELECT 1 FROM metaads_webhookdelivery WHERE processed_at IS NOT NULL"),
        "not processed",
        60,
    )
    time.sleep(3)
    uuid = str(one("SELECT uuid FROM accounts_metaconnection"))
    ended = _api(alice, home, "/api/meta-oauth/disconnect", {"connection_id": uuid})
    pages.append(("disconnect", ended.content))
    assert ended.status_code == 200, ended.content


def _signed_in(home: str, name: str) -> _Browser:
    browser = _Browser(home)
    page = browser.open("/accounts/login/")
    answer = browser.submit(page, form="login", login=f"{name}@example.com", password=PASSWORD)
    assert answer.status_code == 200, answer.url
    return browser


def _api(browser: _Browser, home: str, path: str, body: dict[str, str]) -> Any:
    """A write from a signed-in page."""
    token = re.search(r'name="csrf" content="([^"]+)"', browser.open("/connections/").text)
    assert token is not None
    headers = {"X-CSRFToken": token[1], "Referer": home + "/"}
    return browser.session.post(home + path, json=body, headers=headers, timeout=60)


def _tables(database: Any) -> list[tuple[str, bytes]]:
    """Every column of every table, cipher columns as they lie there."""
    names = [
        name for (name,) in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    assert len(names) > 40
    found = []
    for name in names:
        rows = database.execute(f'SELECT * FROM "{name}"').fetchall()
        lines = (
            b" ".join(
                bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode() for cell in row
            )
            for row in rows
        )
        found.append((f"table {name}", b"\n".join(lines)))
    return found
