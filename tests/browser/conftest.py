"""A real Chromium against the real server (uvicorn, WebSockets) in this process, with the sandbox behind it."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import PASSWORD, need
from tests.dashboard.conftest import furnished

__all__ = ["furnished"]
CHROMIUM = next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), ""
)


def pytest_configure(config):
    # Playwright's own loop runs in the test's thread, where the test itself reads the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    need("chromium", bool(CHROMIUM), "there is no /usr/bin/chromium (apt-get install chromium)")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": quiet}


@pytest.fixture
def live_app(transactional_db, settings):
    """The address of the product under test; its database is the test's."""
    import uvicorn

    from config.asgi import application

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    settings.PUBLIC_URL = f"http://127.0.0.1:{port}"
    settings.CSRF_TRUSTED_ORIGINS = [settings.PUBLIC_URL]
    policy = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    directives = {**policy, "connect-src": ["'self'", f"ws://127.0.0.1:{port}"]}
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives}
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield settings.PUBLIC_URL
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def console(page):
    """Everything that the page complained about; a test ends with it empty."""
    said: list[str] = []
    page.on(
        "console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def until(page, expression: str) -> None:
    """Playwright's own `wait_for_function` polls by `eval`, which the product's Content-Security-Policy forbids: it
    finds only what is true at once."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never true: {expression}")


def settled(page) -> None:
    """Until the page itself knows how long its session lasts: a clock that is moved before moves the answer along."""
    page.locator('html[data-session="known"]').wait_for(state="attached")


def sign_in(page, base: str, name: str, *, scripts: bool = True) -> None:
    page.goto(f"{base}/accounts/login/")
    page.get_by_label("Email").fill(f"{name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    # To the first page, a client, or the ad account where the person was last.
    page.wait_for_url(re.compile(r"//[^/]+/([ac]/.*)?$"))
    if scripts:
        settled(page)
