"""Many websocket clients in one process: how long from publish to receipt, and what the server's CPU did for it.

    python -m tests.bench.sockets <<< ORDER     ORDER: JSON, see `Order`; prints JSON. Standard library alone, so that
                                                every kind of server gets the same client, and that it costs little

    N handshakes -> a silent span (what the sockets cost by themselves) -> publishes, evenly spaced -> until all arrived

A frame carries the moment of its publish as the first digits of its id; both ends of that span are of this process.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.publishers import PUBLISHERS

#: A frame is this long in all, JSON included.
FRAME_BYTES = 650
AT_ONCE = 50
WARM = 3
#: As long as the product lets a look at a socket's rights count, so that each of them falls into it once.
SILENT_S = 15.0
PATIENCE = 30.0


@dataclass(frozen=True)
class Order:
    """`kind` names who publishes (`tests.bench.publishers`), `to` what it needs to know; `cookies` has one for each
    socket, or none at all."""

    kind: str
    to: dict[str, Any]
    port: int
    pid: int
    path: str
    cookies: list[str]
    sockets: int
    publishes: int
    pause: float


def main() -> None:
    order = Order(**json.loads(sys.stdin.read()))
    publish = PUBLISHERS[order.kind](order.to)
    page = _Page(order)
    began = time.perf_counter()
    page.open()
    opened = time.perf_counter() - began
    for _ in range(WARM):  # connections and imports of the publisher
        publish(_id())
        page.hear_for(order.pause)
    span = order.publishes * order.pause
    idle = _cpu(order.pid)
    page.hear_for(SILENT_S)
    idle = _cpu(order.pid) - idle
    publisher = threading.Thread(target=_publish, args=(publish, order), daemon=True)
    page.latencies.clear()
    before, began = _cpu(order.pid), time.perf_counter()
    publisher.start()
    wanted = order.publishes * order.sockets
    page.hear_until(wanted, span + PATIENCE)
    cpu, took = _cpu(order.pid) - before, time.perf_counter() - began
    print(
        json.dumps(
            {
                "opened_s": round(opened, 2),
                "delivered": len(page.latencies),
                "wanted": wanted,
                "frame_bytes": page.longest,
                "seconds": took,
                "cpu_s": cpu,
                "idle_cpu_per_s": idle / SILENT_S,
                "latencies_us": sorted(page.latencies),
                "rss_mb": _rss(order.pid),
            }
        )
    )


def _publish(publish: Callable[[str], None], order: Order) -> None:
    for _ in range(order.publishes):
        publish(_id())
        time.sleep(order.pause)


def _id() -> str:
    """The moment, and as much as fills a frame."""
    empty = len(json.dumps({"topic": "insights", "id": "", "sequence": 1}, separators=(",", ":")))
    moment = f"{time.perf_counter_ns()}."
    return moment + "x" * (FRAME_BYTES - empty - len(moment))


class _Page:
    """All the sockets, on one epoll."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.latencies: list[int] = []
        self.longest = 0
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._waiting: dict[int, bytes] = {}

    def open(self) -> None:
        for first in range(0, self.order.sockets, AT_ONCE):
            made = [self._ask(number) for number in range(first, min(first + AT_ONCE, self.order.sockets))]
            for one in made:
                self._answered(one)

    def _ask(self, number: int) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.order.port), timeout=PATIENCE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host = f"127.0.0.1:{self.order.port}"
        lines = [
            f"GET {self.order.path} HTTP/1.1",
            f"Host: {host}",
            f"Origin: http://{host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        if self.order.cookies:
            lines.append(f"Cookie: {self.order.cookies[number]}")
        made.sendall("\r\n".join([*lines, "", ""]).encode())
        return made

    def _answered(self, one: socket.socket) -> None:
        seen = b""
        while b"\r\n\r\n" not in seen:
            part = one.recv(4096)
            if not part:
                raise SystemExit(f"the server closed the handshake: {seen[:300]!r}")
            seen += part
        head, _, rest = seen.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise SystemExit(f"the server refused the socket: {head[:300]!r}")
        one.setblocking(False)
        self._sockets[one.fileno()] = one
        self._waiting[one.fileno()] = rest
        self._poll.register(one.fileno(), select.EPOLLIN)

    def hear_for(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._hear(left)

    def hear_until(self, wanted: int, patience: float) -> None:
        end = time.perf_counter() + patience
        while len(self.latencies) < wanted and time.perf_counter() < end:
            self._hear(0.5)

    def _hear(self, seconds: float) -> None:
        for number, _ in self._poll.poll(seconds):
            one = self._sockets[number]
            try:
                data = one.recv(65536)
            except BlockingIOError:
                continue
            moment = time.perf_counter_ns()
            if not data:
                raise SystemExit("the server closed a socket")
            self._read(number, one, self._waiting[number] + data, moment)

    def _read(self, number: int, one: socket.socket, data: bytes, moment: int) -> None:
        """Every whole frame of `data`; a part of one waits for the rest."""
        while len(data) >= 2:
            kind, length, head = data[0] & 0x0F, data[1] & 0x7F, 2
            if length == 126:
                if len(data) < 4:
                    break
                length, head = int.from_bytes(data[2:4]), 4
            if len(data) < head + length:
                break
            body, data = data[head : head + length], data[head + length :]
            if kind == 1:
                at = body.index(b'"id":"') + 6
                self.latencies.append((moment - int(body[at : body.index(b".", at)])) // 1000)
                self.longest = max(self.longest, head + length)
            elif kind == 9:  # a ping; all that a client sends is masked, here by zeros
                one.send(bytes((0x8A, 0x80 | len(body), 0, 0, 0, 0)) + body)
            elif kind == 8:
                raise SystemExit(f"the server closed a socket: {body!r}")
        self._waiting[number] = data


def _cpu(pid: int) -> float:
    """CPU seconds of the server so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024)


if __name__ == "__main__":
    main()
