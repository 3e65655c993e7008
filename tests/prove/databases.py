"""A PostgreSQL server of a test's own, to be stopped at once, made a standby and promoted."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.conftest import need
from tests.processes import free_port


class Postgres:
    """A server in a folder of its own. Debian keeps its programs out of PATH, and they do not run as root."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder, self.port = programs, folder, free_port()
        self.admin = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-A", "trust", "-U", "postgres", "--no-sync")

    def _run(self, program: str, *words: str) -> None:
        as_postgres = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        command = (*as_postgres, str(self._programs / program), "-D", str(self._folder / "data"), *words)
        # Into a file: the server would keep a pipe open that somebody waits for.
        with (self._folder / "said").open("a") as said:
            done = subprocess.run(command, cwd=self._folder, stdout=said, stderr=said, timeout=60)
        assert done.returncode == 0, (self._folder / "said").read_text()[-2000:]

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder}"
        self._run("pg_ctl", "start", "-w", "-o", options, "-l", str(self._folder / "log"))

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` leaves everything as a power cut does; the next start recovers."""
        self._run("pg_ctl", "stop", "-m", mode)

    def demote(self) -> None:
        """The server is a standby after its next start: it can be read and takes no writes."""
        (self._folder / "data" / "standby.signal").touch()
        if os.geteuid() == 0:
            shutil.chown(self._folder / "data" / "standby.signal", "postgres")

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-w")


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (found[-1] if found else None)
    need("postgres", initdb is not None, "no initdb, so no PostgreSQL server of our own")
    assert initdb is not None
    folder = Path(tempfile.mkdtemp(prefix="metaads-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Postgres(Path(initdb).resolve().parent, folder)
    try:
        server.start()
        yield server
    finally:
        try:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop()
        finally:
            shutil.rmtree(folder)


def create(admin: str, name: str) -> str:
    """The URL of a new database."""
    with psycopg.connect(admin, autocommit=True, connect_timeout=10) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{admin.rsplit('/', 1)[0]}/{name}"
