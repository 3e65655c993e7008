"""The watchdog as a process: Redis is killed, a sender is killed in its last word, many loops send at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db import connection

from accounts import outbox
from accounts.models import OutboxMessage
from config.env import ROOT
from metaads.clock import now
from tests.mailserver import listening
from tests.processes import ask, environment, free_port, migrate, servers, started, wait_ready

__all__ = ["servers"]
pytestmark = pytest.mark.prove

#: Northwind with an owner and a buyer, and an ad account that was last heard of so many seconds ago.
WORLD = """
from datetime import timedelta
from accounts.models import *
from metaads.clock import now
client = Client.objects.create(name="Northwind", slug="northwind")
for name, role, at in (("alice", "owner", None), ("bob", "buyer", client), ("vic", "viewer", client)):
    user = User.objects.create_user(f"{name}@example.com", "x", name=name.title())
    Membership.objects.create(user=user, client=at, role=role)
row = MetaConnection.everything.create(client=client, meta_user_id="1", token="t", connected_at=now(), checked_at=now())
AdAccount.everything.create(client=client, meta_id="1", name="Shop", currency="USD", timezone_name="UTC",
    connection=row, enabled_at=now() - timedelta(days=1), last_contact_at=now() - timedelta(seconds=SECONDS))
"""
LETTER = """
from accounts.outbox import send
from metaads.clock import now
send(key="k", address="bob@example.com", subject="Once", body="b", now=now())
"""
TIME_PASSES = """
from accounts.models import OutboxMessage
from accounts.outbox import CLAIM
from django.db.models import F
OutboxMessage.everything.filter(sent_at=None).update(due_at=F("due_at") - CLAIM)
"""
STATE = """
import json
from accounts.models import *
print(json.dumps({"alerts": list(Alert.everything.filter(closed_at=None).values_list("key", flat=True)),
    "waiting": OutboxMessage.everything.filter(sent_at=None).count(),
    "tries": sum(OutboxMessage.everything.values_list("tries", flat=True))}))
"""


def shell(environ: dict[str, str], code: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def state(environ: dict[str, str]) -> dict[str, Any]:
    return dict(json.loads(shell(environ, STATE).strip().splitlines()[-1]))


def wait(condition: Any, *, seconds: float = 90, what: str = "it") -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.2)


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis of our own, to be killed."""
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        cwd=folder, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process, f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait(10)


def answers(url: str) -> bool:
    import redis

    try:
        return bool(redis.Redis.from_url(url, socket_timeout=2).ping())
    except redis.RedisError:
        return False


@pytest.mark.fault("F95")
@pytest.mark.postgres
@pytest.mark.redis
def test_redis_is_killed_and_the_silence_is_told_by_mail(servers: dict[str, str], tmp_path: Path) -> None:
    """The whole server form: workers and beat wait for Redis to come back, and people hear of the silence meanwhile."""
    with redis_server(tmp_path) as (redis, url), listening() as post:
        environ = {**servers, "REDIS_URL": url, "EMAIL_URL": post.url}
        migrate(environ)
        shell(environ, WORLD.replace("SECONDS", str(6 * 3600 - 120)))
        port = free_port()
        with started(environ, "-m", "config.server", "--port", str(port), "--web", "1") as group:
            wait_ready(port, group)
            redis.kill()
            redis.wait(10)
            assert not answers(url)
            assert state(environ)["alerts"] == [], "nobody is silent for six hours yet"
            wait(lambda: post.to("bob@example.com"), seconds=240, what="a mail")
            time.sleep(2)
            assert group.poll() is None, "no process ends because Redis did"
            assert "silence:act_1" in state(environ)["alerts"]
            assert ask(port, "/readyz")[1]["checks"]["watchdog"]["good"]
    subjects = [one["Subject"] for one in post.to("bob@example.com")]
    assert subjects == ["Northwind: No answer from Meta for Shop in 6 hours"]
    assert len(post.to("alice@example.com")) == 1
    assert post.to("vic@example.com") == []


def test_killed_after_the_servers_yes_a_mail_leaves_at_most_once_more(tmp_path: Path) -> None:
    with listening() as post:
        environ = environment(tmp_path, EMAIL_URL=post.url)
        migrate(environ)
        shell(environ, LETTER)
        with started(environ, "manage.py", "watchdog") as watchdog:
            post.before_yes = lambda: os.kill(watchdog.pid, signal.SIGKILL)
            wait(lambda: watchdog.poll() is not None, what="the kill")
        assert state(environ) == {"alerts": [], "waiting": 1, "tries": 1}
        post.before_yes = lambda: None
        shell(environ, "from accounts.models import Lease; Lease.objects.all().delete()")
        once(environ)
        assert len(post.taken) == 1, "the claim still holds"
        for _ in range(3):
            shell(environ, TIME_PASSES)
            once(environ)
        assert state(environ) == {"alerts": [], "waiting": 0, "tries": 2}
        assert len(post.taken) == 2
        assert len({one["Message-ID"] for one in post.taken}) == 1, "whoever receives it sees one mail"


def once(environ: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "watchdog", "--once"], cwd=ROOT, env=environ, check=True, timeout=60
    )


def test_a_mail_server_that_never_answers_holds_the_watch_for_seconds_only(tmp_path: Path) -> None:
    with listening() as post:
        stuck = threading.Event()
        post.before_yes = lambda: bool(stuck.wait(60)) and None
        environ = environment(tmp_path, EMAIL_URL=post.url)
        migrate(environ)
        shell(environ, LETTER)
        began = time.monotonic()
        once(environ)
        assert time.monotonic() - began < 40
        stuck.set()
        assert state(environ)["waiting"] == 1


def test_two_watchdogs_with_one_database_send_each_mail_once(tmp_path: Path) -> None:
    with listening() as post:
        environ = environment(tmp_path, EMAIL_URL=post.url)
        migrate(environ)
        with started(environ, "manage.py", "watchdog"), started(environ, "manage.py", "watchdog"):
            shell(environ, "\n".join(LETTER.replace('"k"', f'"k{n}"') for n in range(20)))
            wait(lambda: len(post.taken) >= 20, what="the last mail")
            wait(lambda: state(environ)["waiting"] == 0, what="the last row")
        assert len(post.taken) == 20


@pytest.mark.django_db(transaction=True)
def test_many_loops_at_once_send_each_mail_once() -> None:
    """The lease is not what keeps mails single: claims are."""
    count = int(os.environ.get("PROVE_N") or 200)
    for n in range(count):
        outbox.send(key=f"k{n}", address=f"p{n}@example.com", subject="s", body="b", now=now())
    start, sent = threading.Barrier(6), []

    def loop() -> None:
        start.wait()
        try:
            while OutboxMessage.everything.filter(sent_at=None).exists():
                sent.append(outbox.deliver(now=now() + timedelta(seconds=1)))
        finally:
            connection.close()

    threads = [threading.Thread(target=loop) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not any(thread.is_alive() for thread in threads)
    assert Counter(one.to[0] for one in mail.outbox) == Counter(f"p{n}@example.com" for n in range(count))
    assert sum(sent) == count
