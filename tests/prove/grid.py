"""The kill grid: at every named point a worker dies, under everything that Meta and people may do meanwhile.

life 1   asks for a change and carries it on, until it dies at the cell's point
between  somebody edits, stops, lowers the cap, asks for something else (the cell's outcome)
life 2   recovers; in a double crash it dies as well
life 3   carries on until nothing moves
judge    asks Meta's own history; of the ledger only whether it says the same
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from config.env import ROOT
from metaads.crash import POINTS
from metaads.sandbox.app import Sandbox, serve
from tests.campaigns.machine.history import Effect, History
from tests.conftest import START, need
from tests.processes import environment, migrate
from tests.prove.lives import SharedClock

APP_ID, APP_SECRET = "1000000000000001", "sandbox-secret"
#: Who was asked twice: the first connection, and the first byte. Everything else is passed once before it matters.
HITS = {"send.guarded": (1, 2), "ledger.line": (1, 2, 4, 6), "send.looked": (1, 2), "settle.looked": (1, 2)}
BUDGET, STATUS = "daily_budget", "status"
DATABASES = ("sqlite", "postgres")
ADMIN = os.environ.get("SERVER_ADMIN_URL", "postgres://postgres@127.0.0.1:5432/postgres")
#: What goes on beside a frozen worker: another one carries on, somebody stops everything, somebody edits.
TAKEN_OVER, STOPPED, EDITED = "another worker takes over", "somebody stops it", "somebody edits"
QUIET_ENDS = frozenset({"REJECTED", "EXPIRED", "NOOP", "FAILED"})
ENDS = QUIET_ENDS | {"APPLIED", "SUPERSEDED", "NEEDS_HUMAN"}


@dataclass(frozen=True)
class Outcome:
    """What Meta does to the request (`faults`: name, method, times, options), and people while the worker is dead."""

    name: str
    faults: tuple[tuple[str, str, int | None, dict[str, Any]], ...] = ()
    edit: Any = None
    orders: tuple[tuple[str, Any], ...] = ()
    #: The budget is asked for unless the outcome is about a pause.
    target: str = "120"


def _post(name: str, times: int | None = 1, **options: Any) -> tuple[str, str, int | None, dict[str, Any]]:
    return (name, "POST", times, options)


def _get(name: str, times: int | None = 1, **options: Any) -> tuple[str, str, int | None, dict[str, Any]]:
    return (name, "GET", times, options)


OUTCOMES = (
    Outcome("calm"),
    Outcome("a cut, calm", target="80"),
    Outcome("a pause, calm", target="PAUSED"),
    Outcome("applied, no answer", (_post("applied_timeout"),)),
    Outcome("lost, no answer", (_post("dropped"),)),
    Outcome("applied, answered with a 500", (_post("applied_500"),)),
    Outcome("acknowledged, not done", (_post("lying_success"),)),
    Outcome("acknowledged and not done three times", (_post("lying_success", 3),)),
    Outcome("lands 20 s late", (_post("late", seconds=20),)),
    Outcome("lands 90 s late", (_post("late", seconds=90),)),
    Outcome("acknowledged, lands 45 s late", (_post("late", seconds=45, answer="success"),)),
    Outcome("somebody edits in the same moment", (_post("human_edit_between", value=7_700),)),
    Outcome("an error page", (_post("html"),)),
    Outcome("a page instead of an answer", (_post("html", status=200),)),
    Outcome("an empty answer", (_post("empty"),)),
    Outcome("an answer cut short", (_post("truncated"),)),
    Outcome("an odd answer", (_post("odd_body", body={"error": None}),)),
    Outcome("throttled", (_post("throttle"),)),
    Outcome("throttled for five minutes", (_post("throttle", minutes=5),)),
    Outcome("not permitted", (_post("permission"),), orders=(("reconnect", True),)),
    Outcome("a passing failure", (_post("transient"),)),
    Outcome("gone or hidden", (_post("gone33"),)),
    Outcome("the budget moves to the campaign", (_post("cbo_switch"),)),
    Outcome("reads from a minute ago", (_post("late", seconds=20), _get("stale_read", 4, seconds=60))),
    Outcome("the first reads fail", (_get("transient", 3),)),
    Outcome("somebody edits while it is dead", edit=7_700),
    Outcome("somebody sets the same value while it is dead", edit=12_000),
    Outcome("lost, and somebody edits while it is dead", (_post("dropped"),), edit=7_700),
    Outcome("a second worker wants another value", orders=(("second", "110"),)),
    Outcome("late, and a second one wants another value", (_post("late", seconds=90),), orders=(("second", "110"),)),
    Outcome("stopped while it is dead", orders=(("stop", True),)),
    Outcome("the cap is lowered while it is dead", orders=(("cap", "1"),)),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    point: str
    hit: int
    outcome: Outcome
    then: str = ""  # where the second life dies

    def __str__(self) -> str:
        again = f", then at {self.then}" if self.then else ""
        return f"[{self.outcome.name}] dies at {self.point} ({self.hit}){again}"


def cells() -> list[Cell]:
    """Every point with every outcome."""
    return [
        Cell(point, hit, outcome) for point in POINTS for hit in HITS.get(point, (1,)) for outcome in OUTCOMES
    ]


def pairs(count: int, *, seed: int) -> list[Cell]:
    """Double crashes: dies, and dies again while it recovers."""
    chance = random.Random(seed)
    points = list(POINTS)
    return [
        Cell(chance.choice(points[:15]), 1, chance.choice(OUTCOMES), chance.choice(points))
        for _ in range(count)
    ]


#: Points off the straight way: what leads there for sure, and where the first life ends when the second one gets there.
ASIDE: dict[str, tuple[str, str]] = {
    "send.nothing": ("somebody sets the same value while it is dead", "send.claimed"),
    "send.given_up": ("stopped while it is dead", "send.preparing"),
    "settle.abandoned": ("calm", "send.committed"),
    "settle.traced": ("lost, no answer", ""),
    "switch.superseded": ("somebody edits while it is dead", "send.claimed"),
    "switch.needs_human": ("acknowledged and not done three times", ""),
    "switch.pulled": ("stopped while it is dead", "send.claimed"),
}


def sure() -> list[Cell]:
    """For each point one cell in which a worker dies there, whatever the seed."""
    named = {one.name: one for one in OUTCOMES}
    found = []
    for point in POINTS:
        outcome, first = ASIDE.get(point, ("calm", ""))
        found.append(Cell(first, 1, named[outcome], point) if first else Cell(point, 1, named[outcome]))
    return found


def sample(count: int, *, seed: int) -> list[Cell]:
    """`count` cells by the seed: those that are sure, every outcome, and whatever comes."""
    chance = random.Random(seed)
    every = cells()
    chance.shuffle(every)
    chosen = sure()
    seen = {cell.outcome.name for cell in chosen}
    for cell in every:
        if cell.outcome.name not in seen:
            seen.add(cell.outcome.name)
            chosen.append(cell)
    rest = [cell for cell in every if cell not in chosen]
    return (chosen + rest)[: max(count, len(chosen))]


@dataclass
class Tally:
    """What the cells have met; too little of it, and they have proven nothing."""

    cells: int = 0
    kills: int = 0
    writes: int = 0
    unknown: int = 0
    edits: int = 0
    died_at: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("cells", "kills", "writes", "unknown", "edits"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.died_at += other.died_at
        self.ends += other.ends
        self.wrong += other.wrong

    def __str__(self) -> str:
        return (
            f"{self.cells} cells, {self.kills} SIGKILLs at {len(self.died_at)} points, {self.writes} writes received, "
            f"{self.unknown} without a clear answer, {self.edits} edits by people; changes ended: {dict(self.ends)}"
        )


class Lane:
    """One database, one sandbox and one process that forks the lives; cells go through it one by one."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        folder.mkdir(parents=True)
        self.folder, self.postgres = folder, environ.get("DATABASE_URL", "")
        self.clock = SharedClock.create(folder / "clock", START)
        self.box = self._new_box()
        self.server = serve(lambda *call: self.box(*call), port=0, silence=0.0)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        graph = f"http://127.0.0.1:{self.server.server_port}"
        self.environ = {
            **environ,
            "VAR_DIR": str(folder / "var"),
            "META_APP_ID": APP_ID,
            "META_APP_SECRET": APP_SECRET,
            "META_GRAPH_URL": graph,
            "META_DIALOG_URL": graph,
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        # PostgreSQL without Redis is refused, for want of a cache that processes share; here one works at a time.
        migrate(self.environ, "--skip-checks")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.prove.lives", str(folder / "clock")],
            cwd=ROOT, env=self.environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=(folder / "errors").open("w"),
        )  # fmt: skip
        self.template = str(folder / "template.sqlite3")
        first = self.postgres.rsplit("/", 1)[1] if self.postgres else str(folder / "var" / "metaads.sqlite3")
        world = self._order(do="found", database=first, token=self.box.token("alice"), copy=self.template)
        self.object, self.budget = world["object"], world["budget"]
        self._founded = self._rows() if self.postgres else {}

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self.server.shutdown()
        self.server.server_close()

    def _new_box(self) -> Sandbox:
        return Sandbox(world="tiny", seed=7, app_id=APP_ID, app_secret=APP_SECRET, clock=self.clock)

    def _order(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(
            self._process.stdout.readline() or '{"failed": "the forker died"}'
        )
        assert "failed" not in answer, answer["failed"]
        return answer

    @contextmanager
    def _database(self) -> Iterator[str]:
        """A fresh copy of the founded world."""
        if not self.postgres:
            path = self.folder / "cell.sqlite3"
            shutil.copy(self.template, path)
            yield str(path)
            for rest in ("", "-wal", "-shm"):
                Path(f"{path}{rest}").unlink(missing_ok=True)
            return
        yield self.postgres.rsplit("/", 1)[1]
        with psycopg.connect(self.postgres) as database:
            # Copied back row by row: making and dropping a database waits for the server's disk each time.
            database.execute("SET LOCAL session_replication_role = replica")
            for table, rows in self._founded.items():
                database.execute(f'DELETE FROM "{table}"'.encode())
                with database.cursor().copy(f'COPY "{table}" FROM STDIN'.encode()) as into:
                    into.write(rows)

    def _rows(self) -> dict[str, bytes]:
        """Table -> what stands in it, as PostgreSQL copies it."""
        with psycopg.connect(self.postgres) as database:
            found = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            rows = {}
            for (table,) in found.fetchall():
                with database.cursor().copy(f'COPY "{table}" TO STDOUT'.encode()) as out:
                    rows[table] = b"".join(bytes(part) for part in out)
            return rows

    def freeze(self, point: str, meanwhile: str, *, within: float) -> list[str]:
        """Stop a worker at the point as a frozen machine does, let the world go on, and let the worker go on; what was
        wrong. `within`: the send guard's seconds, which really pass."""
        self._anew()
        history, cell = History(self.box), Cell(point, 1, Outcome(meanwhile))
        with self._database() as database:
            plan = {
                "do": "live",
                "database": database,
                "object": self.object,
                "field": BUDGET,
                "target": "120",
            }
            assert self._order(**plan, freeze_at=point, within=within)["frozen"], f"{cell} was never there"
            edited_at = self._beside(plan, meanwhile)
            time.sleep(within + 0.1)
            before = len(history.writes) + len(history.read())
            assert self._order(do="thaw")["status"] == 0, f"{cell}: it broke"
            late = len(history.writes) + len(history.read()) - before
            last = self._order(**plan, release=meanwhile == STOPPED)
        history.read()
        wrong = [f"{cell}: {text}" for text in judged(cell, history, last, edited_at)]
        if late and meanwhile in (STOPPED, TAKEN_OVER):
            wrong.append(f"{cell}: N12: {late} requests left after it went on")
        if meanwhile == TAKEN_OVER and last["changes"][0]["state"] != "APPLIED":
            wrong.append(f"{cell}: N27: it ended as {last['changes'][0]['state']}")
        return wrong

    def _beside(self, plan: dict[str, Any], meanwhile: str) -> float | None:
        """What goes on while the worker is frozen; when somebody edited, if anybody did."""
        if meanwhile == EDITED:
            body = {"object_id": self.object, "field": BUDGET, "value": 7_700, "actor": "Hanna Human"}
            self.box.control.handle("POST", "edit", body)
            self.clock.advance(600)
            return self.clock.timestamp() - 600
        if meanwhile == STOPPED:
            self._order(**plan, stop=True, rounds=0)
            return None
        self.clock.advance(61)
        self._order(**plan)
        return None

    def _anew(self) -> None:
        self.clock.set(START)
        self.box = self._new_box()
        self.clock.advance(60)

    def run(self, cell: Cell) -> Tally:
        """Live the cell through and judge it."""
        self._anew()
        for name, method, times, options in cell.outcome.faults:
            match = {"method": method, "object_id": self.object}
            self.box.faults.arm(name, match, times, at=self.clock.timestamp(), **options)
        history, tally = History(self.box), Tally(cells=1)
        with self._database() as database:
            plan = {
                "do": "live",
                "database": database,
                "object": self.object,
                "field": STATUS if cell.outcome.target == "PAUSED" else BUDGET,
                "target": cell.outcome.target,
            }
            first = self._order(**plan, point=cell.point, hit=cell.hit)
            tally.kills += first["killed"]
            tally.died_at[cell.point] += first["killed"]
            edited_at = self._between(cell, tally)
            orders = dict(cell.outcome.orders)
            if "reconnect" in orders:
                orders["reconnect"] = self.box.token("alice")
            stopped_from = len(history.writes) + len(history.read())
            second = self._order(**plan, **orders, point=cell.then)
            tally.kills += second["killed"]
            tally.died_at[cell.then] += second["killed"]
            history.read()
            stopped_to = len(history.writes)
            self.box.control.handle("DELETE", "faults", {})
            self.clock.advance(61)
            released = orders.pop("stop", False)
            last = self._order(**plan, **orders, release=released)
        history.read()
        tally.died_at += Counter()
        if "stop" in dict(cell.outcome.orders) and stopped_to > stopped_from and not second["killed"]:
            tally.wrong.append(f"{cell}: N12: written to while it was stopped")
        tally.writes += len(history.writes)
        tally.unknown += sum(one.answered == "unknown" for one in history.writes)
        tally.edits += sum(not one.ours for one in history.effects) - (cell.outcome.edit is not None)
        tally.ends += Counter(one["state"] for one in last["changes"])
        tally.wrong += [f"{cell}: {text}" for text in judged(cell, history, last, edited_at)]
        return tally

    def _between(self, cell: Cell, tally: Tally) -> float | None:
        if cell.outcome.edit is None:
            return None
        body = {"object_id": self.object, "field": BUDGET, "value": cell.outcome.edit, "actor": "Hanna Human"}
        self.box.control.handle("POST", "edit", body)
        tally.edits += 1
        return self.clock.timestamp()


@contextmanager
def opened(database: str, folder: Path, *, count: int, room: str = "grid") -> Iterator[list[Lane]]:
    """Lanes on files of SQLite or on throw-away databases of a PostgreSQL server (`DATABASES`)."""
    names = [f"metaads_{room}_{os.getpid()}_{number}" for number in range(count)]
    with ExitStack() as stack:
        urls = [""] * count
        if database == "postgres":
            try:
                admin = stack.enter_context(psycopg.connect(ADMIN, autocommit=True, connect_timeout=3))
            except psycopg.OperationalError:
                need("postgres", False, "no PostgreSQL answers (SERVER_ADMIN_URL)")
                raise
            for name in names:
                admin.execute(f"CREATE DATABASE {name}".encode())
                stack.callback(admin.execute, f"DROP DATABASE {name} WITH (FORCE)".encode())
            urls = [f"{ADMIN.rsplit('/', 1)[0]}/{name}" for name in names]
        made = [
            Lane(folder / name, environment(folder, **({"DATABASE_URL": url} if url else {})))
            for name, url in zip(names, urls, strict=True)
        ]
        for lane in made:
            stack.callback(lane.close)
        yield made


def judged(cell: Cell, history: History, last: dict[str, Any], edited_at: float | None) -> Iterator[str]:
    """Everything that is wrong with what Meta received, and with what the product says of it."""
    changes = last["changes"]
    yield from last["breaches"]
    if not changes:
        yield "F7: nobody took it up again"
    for one in changes:
        yield from _one_change(one, history, changes)
    for write in history.writes:
        alike = [one for one in changes if one["field"] == write.field and one["target"] == write.value]
        ahead = sum(at <= write.at for one in alike for value, at in one["attempts"] if value == write.value)
        before = sum(one.n <= write.n and one.value == write.value for one in history.writes)
        if ahead < before:
            yield f"N1: {write} without an attempt that was committed before"
        if edited_at is not None and write.at > edited_at and cell.outcome.edit != int(write.value):
            yield f"N9: {write} after somebody's edit"
    for first in history.writes:
        for then in history.writes:
            soon = then.n > first.n and then.value != first.value and then.at - first.at < 120
            if soon and first.field == then.field and first.answered == "unknown":
                yield f"N10: {then} too soon after {first}"
    if len([one for one in history.writes if one.field != STATUS and one.answered != "refused"]) > 4:
        yield "N6: more than four writes of a budget within an hour"


def _one_change(one: dict[str, Any], history: History, changes: list[dict[str, Any]]) -> Iterator[str]:
    where = f"{one['key']} is {one['state']} ({one['why']})"
    effects = [effect for effect in history.effects if effect.ours and effect.field == one["field"]]
    ours = [effect for effect in effects if effect.value == one["target"]]
    real = [effect for effect in ours if effect.real]
    people = [effect for effect in history.effects if not effect.ours and effect.field == one["field"]]
    alike = [other for other in changes if (other["field"], other["target"]) == (one["field"], one["target"])]
    if one["state"] not in ENDS:
        yield f"N27: {where}"
    if one["ends"] != 1:
        yield f"N25: {where}, and the ledger says so {one['ends']} times"
    if _doubled(real, len(alike) + len(people)):
        yield f"N2: {where}; it took effect {len(real)} times"
    if one["state"] == "APPLIED" and not ours:
        yield f"N15: {where}, but Meta never set it"
    if one["state"] in QUIET_ENDS and real and all(other["state"] in QUIET_ENDS for other in alike):
        yield f"N15: {where}, but it took effect"
    if one["state"] == "NEEDS_HUMAN" and one["alerts"] != 1:
        yield f"N15: {where}, and {one['alerts']} alerts say so"
    if one["state"] == "SUPERSEDED" and not one["held"]:
        yield f"N9: {where}, and the object is not held"
    if any(value != one["target"] for value, _ in one["attempts"]):
        yield f"N3: {where}; it was sent with another value"


def _doubled(effects: list[Effect], most: int) -> bool:
    return len(effects) > most
