"""The server form as a newcomer meets it: set up, connect through Meta's dialog, and see the first numbers arrive.

Real processes (web, workers, beat) on PostgreSQL and Redis, the sandbox as a process of its own, and a real Chromium.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.processes import environment, free_port, migrate, servers, started, wait_ready

__all__ = ["servers"]
pytestmark = [pytest.mark.chromium, pytest.mark.postgres, pytest.mark.redis]
SECONDS = 1000


@pytest.fixture
def sandbox_process(tmp_path: Path) -> Iterator[dict[str, Any]]:
    command = ("manage.py", "graph_sandbox", "--port", "0", "--world", "tiny", "--speed", "30")
    with started(environment(tmp_path, VAR_DIR=str(tmp_path / "sandbox")), *command) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        yield next(json.loads(line) for line in lines if line.startswith("{"))


def test_a_first_visit_sets_up_connects_and_sees_numbers(
    page: Page, servers: dict[str, str], sandbox_process: dict[str, Any]
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    graph = f"http://127.0.0.1:{sandbox_process['port']}"
    environ = {
        **servers,
        "PUBLIC_URL": base,
        "META_APP_ID": sandbox_process["app_id"],
        "META_APP_SECRET": sandbox_process["app_secret"],
        "META_GRAPH_URL": graph,
        "META_DIALOG_URL": graph,
    }
    migrate(environ)
    with started(environ, "-m", "config.server", "--port", str(port)) as group:
        wait_ready(port, group)
        page.goto(f"{base}/")
        page.wait_for_url("**/setup/")
        for label, value in (
            ("Your name", "Alice"),
            ("E-mail", "alice@example.com"),
            ("Password", "correct horse battery"),
            ("First client", "Northwind"),
        ):
            page.get_by_label(re.compile(label, re.IGNORECASE)).first.fill(value)
        page.locator("main form button[type=submit]").click()
        page.wait_for_url(re.compile(r"/c/northwind/"))

        page.goto(f"{base}/connections/")
        page.get_by_role("button", name=re.compile("Connect Meta account", re.IGNORECASE)).first.click()
        page.wait_for_url("**/dialog/oauth**")
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url("**/connections/confirm/**")
        page.get_by_role("button", name=re.compile("Connect to Northwind")).click()
        page.wait_for_url(re.compile(r"/c/northwind/"))

        # The socket is there, not only the polling that stands in for it.
        expect(page.locator("#live")).to_contain_text("Live", timeout=20 * SECONDS)
        account = sandbox_process["ad_accounts"][0]
        page.goto(f"{base}/a/{account}/")
        # No reload: the worker's progress and the numbers arrive through the socket, across processes.
        expect(page.locator("main")).to_contain_text("Ready", timeout=60 * SECONDS)
        expect(page.locator("main")).to_contain_text("USD", timeout=60 * SECONDS)
        expect(page.get_by_role("link", name="Cups - Traffic")).to_be_visible(timeout=60 * SECONDS)
