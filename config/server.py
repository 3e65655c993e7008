"""The server form on one machine, natively: every process of docker-compose.yml under one command (`make server`).

    python -m config.server --port 8000

Starts the processes, passes their output on, and ends all of them when one ends or on Ctrl-C / SIGTERM. It
restarts nothing: a supervisor of the machine (systemd, compose) does that, and the database loses nothing.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from config.settings import DATABASES, ENV, VAR_DIR

#: A POST to Meta takes 30 s at most; workers finish what they run before they go.
FINISH_SECONDS = 45.0

_WORKER = (
    "-m",
    "celery",
    "-A",
    "config.celery",
    "worker",
    "--without-gossip",
    "--without-mingle",
    "-l",
    "WARNING",
)


def commands(*, host: str, port: int, web: int) -> dict[str, tuple[str, ...]]:
    """Process name -> arguments of Python. docker-compose.yml runs the same ones (a test compares)."""
    serve = (
        "-m",
        "uvicorn",
        "config.asgi:application",
        "--host",
        host,
        "--port",
        str(port),
        "--no-access-log",
        # Frames have some sixty bytes: compressing them costs more than it saves, and each socket its own memory.
        "--ws-per-message-deflate",
        "false",
    )
    return {
        "web": (*serve, "--workers", str(web)),
        "worker-control": (*_WORKER, "-n", "control@%h", "-c", "2", "-Q", "control,write"),
        "worker-sync": (*_WORKER, "-n", "sync@%h", "-c", "2", "-Q", "live,sync"),
        "worker-reports": (*_WORKER, "-n", "reports@%h", "-c", "1", "-Q", "reports"),
        "beat": ("-m", "celery", "-A", "config.celery", "beat", "-l", "WARNING", "--pidfile="),
        "watchdog": ("manage.py", "watchdog"),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m config.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--web", type=int, default=2, help="web processes")
    options = parser.parse_args(argv)
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not ENV[name]]
    if missing:
        print(
            f"The server form needs {' and '.join(missing)}, for example\n"
            "  make server DATABASE_URL=postgres://user:password@127.0.0.1:5432/metaads REDIS_URL=redis://127.0.0.1:6379/0\n"
            "Without them everything runs in one process: make run",
            file=sys.stderr,
        )
        return 2
    return _Group(commands(host=options.host, port=options.port, web=options.web)).run()


class _Group:
    """Processes that live and die together."""

    def __init__(self, wanted: dict[str, tuple[str, ...]]) -> None:
        self._wanted = wanted
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()

    def run(self) -> int:
        """0 after a signal, 1 when a process ended by itself."""
        asked: list[int] = []

        def stop(number: int, frame: FrameType | None) -> None:
            asked.append(number)
            self._ended.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        for name, arguments in self._wanted.items():
            # A group of its own: Ctrl-C reaches this process only, which then ends each child once and in order.
            self._running[name] = subprocess.Popen([sys.executable, *arguments], start_new_session=True)
            threading.Thread(target=self._watch, args=(name,), daemon=True).start()
        database = DATABASES["default"]["ENGINE"].rsplit(".", 1)[-1]
        print(f"started {', '.join(self._running)} on {database}; files under {VAR_DIR}", flush=True)
        self._ended.wait()
        failed = [name for name, one in self._running.items() if one.poll() is not None]
        if not asked:
            print(f"{', '.join(failed)} ended; stopping the others", file=sys.stderr, flush=True)
        self._stop()
        return 0 if asked else 1

    def _watch(self, name: str) -> None:
        self._running[name].wait()
        self._ended.set()

    def _stop(self) -> None:
        order = sorted(self._running, key=lambda name: (name != "beat", name != "web"))
        for name in order:
            _signal(self._running[name], signal.SIGTERM)
        for name in order:
            try:
                self._running[name].wait(FINISH_SECONDS)
            except subprocess.TimeoutExpired:
                _signal(self._running[name], signal.SIGKILL, group=True)


def _signal(process: subprocess.Popen[bytes], number: int, *, group: bool = False) -> None:
    if process.poll() is None:
        (os.killpg if group else os.kill)(process.pid, number)


if __name__ == "__main__":
    raise SystemExit(main())
