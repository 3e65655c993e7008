"""Live push: from `publish` to the page, through the product's own ASGI application and Redis, beside two others.

    product        uvicorn, config.asgi, one Redis subscription -> hub -> each socket (signed in, a session of its own)
    group_send     uvicorn, a Channels consumer of ten lines on channels_redis
    raw            `websockets.broadcast`, no Django, no sign-in, no Redis: what a Python server can do

One server process, one process with all the clients and the publisher, the same frames; one kind after the other.
Goals C: at 1,000 sockets p99 within 60 ms and 25 us of CPU for a delivery; eight times faster and twelve times cheaper
than group_send; within 2.5 times the raw broadcast.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

from config.env import ROOT
from tests.bench.ground import Say, call, goal, installation, percentile, redis_url

PAUSE = 0.3  # fifty of them are the 15 s in which the product looks at every socket once
#: A Python with channels, channels_redis and uvicorn; this one, if it has them.
CHANNELS = "BENCH_CHANNELS_PYTHON"
PRODUCT, GROUP, RAW = "product", "Channels group_send (channels_redis)", "websockets.broadcast, raw"


def measure(*, sockets: list[int], publishes: int, admin: str, say: Say) -> dict[str, Any]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    missing: list[str] = []
    runs: list[dict[str, Any]] = []
    peer = _with_channels_redis()
    if not peer:
        missing.append(f"{GROUP} (no channels_redis here; {CHANNELS} may name a Python that has it)")
    if not admin:
        missing.append(f"{PRODUCT} (its server form needs PostgreSQL and Redis: BENCH_POSTGRES_URL)")
    for many in sockets:
        orders = {"sockets": many, "publishes": publishes, "pause": PAUSE}
        found = [_raw(orders)]
        if peer:
            found.append(_group(orders, peer))
        if admin:
            found.append(_product(orders, admin))
        for one in found:
            runs.append({"sockets": many, **one})
            say(f"{one['who']}, {many} sockets: p50 {one['p50_ms']}, p99 {one['p99_ms']} ms, "
                f"{one['cpu_us']} us of CPU for a delivery")  # fmt: skip
    return {"publishes": publishes, "runs": runs, "goals": _goals(runs), "not_measured": missing}


def _product(orders: Mapping[str, Any], admin: str) -> dict[str, Any]:
    port = _free()
    with installation(postgres=admin, PUBLIC_URL=f"http://127.0.0.1:{port}") as environ:
        people = json.loads(call(environ, "-m", "tests.bench.signed_in", str(orders["sockets"])))
        words = ("-m", "uvicorn", "config.asgi:application", "--port", str(port), *_QUIET)
        with _server(environ, words, port) as pid:
            order = {
                "kind": "product",
                "to": {"client_id": people["client_id"]},
                "path": "/ws/live/?client=bench",
                "cookies": people["cookies"],
            }
            return _found(PRODUCT, environ, {**orders, **order, "port": port, "pid": pid}, sys.executable)


def _group(orders: Mapping[str, Any], python: str) -> dict[str, Any]:
    port = _free()
    environ = {"PATH": os.environ["PATH"], "BENCH_REDIS_URL": redis_url()}
    words = ("-m", "uvicorn", "tests.bench.group_app:application", "--port", str(port), *_QUIET)
    with _server(environ, words, port, python) as pid:
        order = {"kind": "group", "to": {}, "path": "/", "cookies": [], "port": port, "pid": pid}
        return _found(GROUP, environ, {**orders, **order}, python)


def _raw(orders: Mapping[str, Any]) -> dict[str, Any]:
    port, lines = _free(), _free()
    environ = {"PATH": os.environ["PATH"]}
    words = ("-m", "tests.bench.raw_server", str(port), str(lines))
    with _server(environ, words, port) as pid:
        order = {"kind": "raw", "to": {"port": lines}, "path": "/", "cookies": [], "port": port, "pid": pid}
        return _found(RAW, environ, {**orders, **order}, sys.executable)


_QUIET = ("--host", "127.0.0.1", "--no-access-log", "--log-level", "warning")


@contextlib.contextmanager
def _server(
    environ: Mapping[str, str], words: tuple[str, ...], port: int, python: str = sys.executable
) -> Iterator[int]:
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([python, *words], cwd=ROOT, env=environ, stdout=out, stderr=out)
        try:
            for _ in range(600):
                if process.poll() is not None:
                    out.seek(0)
                    raise SystemExit(f"{' '.join(words[:3])} ended:\n{out.read()[-2000:]}")
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _found(who: str, environ: Mapping[str, str], order: Mapping[str, Any], python: str) -> dict[str, Any]:
    seen = json.loads(call(environ, "-m", "tests.bench.sockets", stdin=json.dumps(order), python=python))
    latencies = [micro / 1000 for micro in seen["latencies_us"]]
    if not latencies:
        raise SystemExit(f"{who}: not one frame arrived")
    each = 1e6 / seen["delivered"]
    return {
        "who": who,
        "delivered": seen["delivered"],
        "wanted": seen["wanted"],
        "frame_bytes": seen["frame_bytes"],
        **{
            f"p{round(100 * share)}_ms": round(percentile(latencies, share), 1) for share in (0.5, 0.95, 0.99)
        },
        "last_ms": round(latencies[-1], 1),
        "cpu_us": round(seen["cpu_s"] * each, 1),
        # What the open sockets cost in any case: pings, and for the product who may still look.
        "net_cpu_us": round(max(0.0, seen["cpu_s"] - seen["idle_cpu_per_s"] * seen["seconds"]) * each, 1),
        "idle_cpu_percent": round(100 * seen["idle_cpu_per_s"], 1),
        "opened_s": seen["opened_s"],
        "rss_mb": seen["rss_mb"],
    }


def _goals(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    most = max(run["sockets"] for run in runs)
    by = {run["who"]: run for run in runs if run["sockets"] == most}
    mine, at = by.get(PRODUCT), f"{most:,} sockets"
    if mine is None:
        return []
    found = [
        goal(f"p99 ms, {at}", mine["p99_ms"], 60, above=False),
        goal(
            f"us of CPU for a delivery, less what open sockets cost, {at}",
            mine["net_cpu_us"],
            25,
            above=False,
        ),
        goal(
            f"frames that arrived, in parts of all, {at}", mine["delivered"] / mine["wanted"], 1, above=True
        ),
        goal(f"p99 against the raw broadcast, {at}", mine["p99_ms"] / by[RAW]["p99_ms"], 2.5, above=False),
    ]
    if group := by.get(GROUP):
        found += [
            goal(f"p99 of group_send against the product's, {at}", group["p99_ms"] / mine["p99_ms"], 8, above=True),
            goal(f"CPU of group_send against the product's, both less that, {at}",
                 group["net_cpu_us"] / max(mine["net_cpu_us"], 0.1), 12, above=True),
        ]  # fmt: skip
    return found


def _with_channels_redis() -> str:
    python = os.environ.get(CHANNELS, sys.executable)
    asked = [python, "-c", "import channels_redis, uvicorn"]
    return python if subprocess.run(asked, capture_output=True, check=False).returncode == 0 else ""


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
