"""Everything on one machine with nothing but Python: the offline Graph API, the product, five people, real data flow.

    sandbox process + web process (worker and beat are its threads)
    people (once) -> the owner connects Meta through the real OAuth dance, over HTTP -> first sync
    one strategy -> its first evaluation -> addresses, sign-ins, curl lines, "ready: ..."

Every step looks first whether it was done, so a second run goes on where the first was ended. Ctrl-C or SIGTERM
ends both processes. Sign-ins are made once and kept beside the demo's database, readable by their owner only.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.parse import urljoin

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

import accounts.access as access
import accounts.keys as keys
import accounts.people as people
from accounts.errors import Refused
from accounts.models import AdAccount, ApiKey, Client, MetaConnection, Role, User
from insights.fetch import progress
from metaads.clock import monotonic, now
from strategies.drafts import create
from strategies.models import Proposal, Strategy

CLIENT: Final = "Northwind Coffee"
APP_ID: Final = "1000000000000001"
#: name -> (e-mail, role, what the person is for)
PEOPLE: Final = {
    "Olivia Owner": ("owner@example.com", Role.OWNER, "owns the agency; also /admin/"),
    "Ben Buyer": ("buyer@example.com", Role.BUYER, "runs the campaigns"),
    "Ada Approver": ("approver@example.com", Role.APPROVER, "the client's: approves proposals"),
    "Vito Viewer": ("viewer@example.com", Role.VIEWER, "the client's: reads"),
    "Ivy Integrator": ("integrator@example.com", Role.INTEGRATOR, "uses the API key below"),
}
STRATEGY: Final = {
    "name": "Stop what nobody clicks",
    "type": "performance_optimization",
    "status": "active",
    "rules": {"minCtr": "0.8", "maxCpc": "3", "targetCpm": "14", "budgetThreshold": "150"},
    "actions": {
        "pauseLowPerforming": True,
        "increaseBudget": True,
        "adjustBidding": False,
        "expandAudience": False,
    },
}
START_SECONDS: Final = 90
SYNC_SECONDS: Final = 600
STOP_SECONDS: Final = 40


class Command(BaseCommand):
    help = (
        "Run the whole product offline: sandbox, web server, worker, people, a connected account, a strategy."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--graph-port", type=int, default=8010)
        parser.add_argument("--exit-when-ready", action="store_true", help="Do every step, then end.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.port, self.graph_port = options["port"], options["graph_port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.graph = f"http://127.0.0.1:{self.graph_port}"
        self.kept = _Kept(Path(settings.VAR_DIR) / "demo.json")
        _free(self.port, "PORT")
        _free(self.graph_port, "GRAPH_PORT")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
        with self._sandbox() as sandbox, self._web() as web:
            client = self._people()
            self._connect(client)
            self._wait_for_sync(client)
            self._strategy(client)
            self._tell(client)
            while not options["exit_when_ready"]:
                for name, process in (("sandbox", sandbox), ("web server", web)):
                    if process.poll() is not None:
                        raise CommandError(f"The {name} has ended. {_tail(self._log(name))}")
                time.sleep(0.5)

    # --- processes

    def _log(self, name: str) -> Path:
        folder = Path(settings.VAR_DIR) / "log"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name.split()[0]}.log"

    @contextmanager
    def _process(
        self, name: str, command: list[str], ready: Callable[[], bool]
    ) -> Iterator[subprocess.Popen[bytes]]:
        environment = {
            **os.environ,
            "PUBLIC_URL": self.url,
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "EMAIL_URL": "",
            "PRODUCTION": "false",
            "META_APP_ID": APP_ID,
            "META_APP_SECRET": self.kept.secret("app_secret"),
            "META_GRAPH_URL": self.graph,
            "META_DIALOG_URL": self.graph,
            "META_WEBHOOK_VERIFY_TOKEN": self.kept.secret("verify_token"),
        }
        log = self._log(name)
        with log.open("ab") as out:
            # A session of its own: Ctrl-C reaches this process alone, which then ends its children in order.
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        try:
            self._say(f"starting the {name}")
            deadline = monotonic() + START_SECONDS
            while not ready():
                if process.poll() is not None or monotonic() > deadline:
                    raise CommandError(f"The {name} did not start. {_tail(log)}")
                time.sleep(0.2)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _sandbox(self) -> Any:
        manage = [sys.executable, "manage.py", "graph_sandbox", "--port", str(self.graph_port)]
        world = ["--world", "demo", "--speed", "30", "--journal", str(Path(settings.VAR_DIR) / "sandbox")]
        app = ["--app-id", APP_ID, "--app-secret", self.kept.secret("app_secret")]
        return self._process(
            "sandbox", [*manage, *world, *app], lambda: _answers(f"{self.graph}/_sandbox/state")
        )

    def _web(self) -> Any:
        uvicorn = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--host", "127.0.0.1"]
        how = ["--port", str(self.port), "--no-access-log", "--log-level", "warning"]
        how += ["--ws-per-message-deflate", "false"]
        return self._process("web server", [*uvicorn, *how], lambda: _answers(f"{self.url}/readyz"))

    # --- what a person would do

    def _people(self) -> Client:
        if people.nobody_yet():
            name, (email, _, _) = next(iter(PEOPLE.items()))
            people.set_up(
                email=email, name=name, password=self.kept.secret(email), client_name=CLIENT, now=now()
            )
        # Shops: what they sell counts, whatever a campaign is optimised for.
        Client.objects.filter(name=CLIENT, result_action="").update(result_action="omni_purchase")
        client = Client.objects.get(name=CLIENT)
        owner = access.principal_of(User.objects.get(email="owner@example.com"))
        for name, (email, role, _) in PEOPLE.items():
            if User.objects.filter(email=email).exists():
                continue
            people.add(
                email=email,
                name=name,
                password=self.kept.secret(email),
                client=client,
                role=role,
                principal=owner,
                now=now(),
            )
        integrator = User.objects.get(email="integrator@example.com")
        if not ApiKey.objects.filter(user=integrator, revoked_at__isnull=True).exists():
            _, text = keys.issue(user=integrator, name="demo", principal=owner, now=now())
            self.kept.put("api_key", text)
        return client

    def _connect(self, client: Client) -> None:
        if MetaConnection.objects.of(client).filter(state__in=("connected", "expiring", "degraded")).exists():
            return
        self._say("connecting Meta: signing in, through Meta's dialog, confirming")
        browser = _Browser(self.url)
        password = self.kept.secret("owner@example.com")
        browser.submit(
            browser.open("/accounts/login/"), form="login", login="owner@example.com", password=password
        )
        dialog = browser.press("/connections/connect", client=client.slug)
        confirm = browser.submit(dialog, form="redirect_uri", decision="continue")
        page = browser.submit(confirm, form="enable")
        if not MetaConnection.objects.of(client).exists():
            raise CommandError(
                f"Connecting ended at {page.url} with status {page.status_code}; nothing was stored."
            )

    def _wait_for_sync(self, client: Client) -> None:
        accounts = list(AdAccount.objects.of(client).filter(enabled_at__isnull=False).order_by("name"))
        deadline = monotonic() + SYNC_SECONDS
        while True:
            states = [progress(account) for account in accounts]
            done = sum(state.done for state in states)
            total = max(sum(state.total for state in states), 1)
            self._bar(done, total, next((s.sentence for s in states if s.state == "running"), ""))
            if all(state.state == "done" for state in states):
                break
            failed = next((state.sentence for state in states if state.state == "failed"), "")
            if failed:
                raise CommandError(f"The first sync failed: {failed}")
            if monotonic() > deadline:
                self._say("")
                raise CommandError(f"The first sync took too long. {_tail(self._log('web server'))}")
            connection.close()
            time.sleep(0.5)
        self._bar(1, 1, "28 days of insights and today are stored")
        self.stdout.write("")

    def _strategy(self, client: Client) -> None:
        buyer = access.principal_of(User.objects.get(email="buyer@example.com"))
        account = AdAccount.objects.of(client).select_related("client").filter(currency="USD").first()
        if account is None:
            raise CommandError("The demo world has no account in USD.")
        if not Strategy.objects.of(client).exists():
            self._say("saving a strategy; its first evaluation follows")
            try:
                create(principal=buyer, ad_account=account, data=STRATEGY, now=now())
            except Refused as refusal:
                raise CommandError(str(refusal)) from None
        deadline = monotonic() + START_SECONDS
        while Strategy.objects.of(client).filter(last_evaluated_at__isnull=True, status="active").exists():
            if monotonic() > deadline:
                raise CommandError(f"The strategy was not evaluated. {_tail(self._log('web server'))}")
            connection.close()
            time.sleep(0.5)

    # --- what a person reads

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _bar(self, done: int, total: int, text: str) -> None:
        filled = 30 * min(done, total) // total
        line = f"[{'#' * filled}{'.' * (30 - filled)}] {100 * min(done, total) // total:3d} %  {text}"
        if self.stdout.isatty():
            self.stdout.write(f"\r\033[K{line[:110]}", ending="")
        elif line != getattr(self, "_last", ""):
            self.stdout.write(line)
            self._last = line
        self.stdout.flush()

    def _tell(self, client: Client) -> None:
        accounts = list(AdAccount.objects.of(client).filter(enabled_at__isnull=False).order_by("name"))
        waiting = Proposal.objects.of(client).filter(state="open").count()
        first = next(account for account in accounts if account.currency == "USD")
        key = self.kept.get("api_key")
        self._say("\nSign in as")
        for name, (email, _, use) in PEOPLE.items():
            self._say(f"  {email:<24} {self.kept.secret(email):<18} {name}: {use}")
        self._say("\nLook at")
        self._say(f"  {self.url}/c/{client.slug}/   the client's overview")
        self._say(f"  {self.url}/a/{first.act_id}/   {first.name}, live")
        self._say(f"  {self.url}/proposals/   {waiting} waiting for an approval")
        self._say(f"  {self.url}/admin/   operations (sign in as the owner)")
        self._say(f"  {self.url}/api/docs/   the API, described")
        self._say(f"  {self.graph}/_sandbox/state   the offline Graph API's own view")
        self._say("\nOr by API")
        header = f'-H "Authorization: Api-Key {key}"'
        self._say(f"  curl {header} {self.url}/api/meta/ad-accounts")
        self._say(f"  curl {header} {self.url}/api/meta/performance/{first.act_id}")
        self._say(f"  curl {header} {self.url}/api/meta/realtime/{first.act_id}")
        self._say("\nCtrl-C ends everything; `make demo` goes on from here, `make demo RESET=1` starts over.")
        self._say(f"ready: {self.url}/")


class _Kept:
    """The demo's secrets: made once, kept in one file that only its owner may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}

    def get(self, name: str) -> str:
        return self.values.get(name, "")

    def put(self, name: str, value: str) -> None:
        self.values[name] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        self.path.write_text(json.dumps(self.values, indent=1))

    def secret(self, name: str) -> str:
        if name not in self.values:
            self.put(name, secrets.token_urlsafe(12))
        return self.values[name]


class _Forms(HTMLParser):
    """The forms of a page that post: action, and fields as they stand (boxes only when ticked)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str]]]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method", "").lower() == "post":
            self.found.append((given.get("action", ""), []))
            self._inside = True
        if tag != "input" or not self._inside or not given.get("name") or "disabled" in given:
            return
        if given.get("type") in ("checkbox", "radio") and "checked" not in given:
            return
        self.found[-1][1].append((given["name"], given.get("value", "on")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


class _Browser:
    """A person's browser without a screen: cookies, forms, redirects."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.session = requests.Session()
        self.session.trust_env = False

    def open(self, path: str) -> requests.Response:
        return self.session.get(self.home + path, timeout=30)

    def submit(self, page: requests.Response, *, form: str, **values: str) -> requests.Response:
        """Fill in the form of the page that has a field `form`, and send it."""
        forms = _Forms()
        forms.feed(page.text)
        action, known = next(
            (found for found in forms.found if any(name == form for name, _ in found[1])), ("", [])
        )
        if not known:
            raise CommandError(f"{page.url.split('?')[0]} answered {page.status_code} without its form.")
        fields = [(name, value) for name, value in known if name not in values]
        target = urljoin(page.url, action) if action else page.url
        return self._post(target, [*fields, *values.items()], referer=page.url)

    def press(self, path: str, **values: str) -> requests.Response:
        """A button that posts, from a page of the product."""
        token = self.session.cookies.get(settings.CSRF_COOKIE_NAME) or ""
        return self._post(
            self.home + path, [("csrfmiddlewaretoken", token), *values.items()], referer=self.home + "/"
        )

    def _post(self, target: str, fields: list[tuple[str, str]], *, referer: str) -> requests.Response:
        return self.session.post(target, data=fields, headers={"Referer": referer}, timeout=120)


def _free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CommandError(
                f"Port {port} is taken. Choose another one: make demo {variable}={port + 1}"
            ) from None


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-12:] if log.is_file() else []
    return "Its last words ({}):\n{}".format(log, "\n".join(lines))


def _leave(number: int, frame: FrameType | None) -> None:
    # A second signal must not cut the clean-up short.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    raise SystemExit(0)
