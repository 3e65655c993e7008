"""The peers of the landing benchmark: installed programs of others, driven as their READMEs have it.

    tap-facebook | target-postgres           a Singer pipe into PostgreSQL
    facebook-ads-reports                     one report of the whole range, a CSV file
    Airbyte's source-facebook-marketing      `read` of one custom insights stream, JSON lines

Each package lives in an environment of its own, `var/peers/PACKAGE`, made by `make bench-peers` from
`requirements/PACKAGE.txt`. All ask for the ads' rows by day, with the fields of the SDK's loop; everything else is the
peer's default. `PYTHONHASHSEED` is set, because the tap asks for its fields in the order of a set, and the sandbox
knows a question again by its text.
"""

from __future__ import annotations

import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from config.env import ROOT
from tests.bench.ground import ACT, Graph
from tests.bench.sdk import FIELDS

HOMES = ROOT / "var" / "peers"
REQUIREMENTS = Path(__file__).with_name("requirements")
ENVIRON = {"PYTHONHASHSEED": "0"}
POINTED = str(Path(__file__).with_name("pointed.py"))
ACCOUNT = ACT.removeprefix("act_")
AIRBYTE_STREAM = "landing"


@dataclass(frozen=True)
class Work:
    """What a peer is asked to do. `postgres` is an empty database's address, `home` a folder for its files."""

    graph: Graph
    since: date
    until: date
    home: Path
    postgres: str

    @property
    def out(self) -> Path:
        """What the last process printed."""
        return self.home / "out"

    def written(self, name: str, what: Any) -> str:
        path = self.home / name
        path.write_text(json.dumps(what))
        return str(path)


class Peer(ABC):
    """A program of others. `homes` are the environments that it needs."""

    name: str
    homes: tuple[str, ...]
    database: str

    def missing(self) -> list[str]:
        """The environments that are not there."""
        return [home for home in self.homes if not python_of(home).exists()]

    def versions(self) -> dict[str, str]:
        """The pinned version of each environment's package."""
        return {home: pinned(home, (REQUIREMENTS / f"{home}.txt").read_text()) for home in self.homes}

    @abstractmethod
    def commands(self, work: Work) -> list[list[str]]:
        """The processes of its pipe, first to last."""

    @abstractmethod
    def rows(self, work: Work) -> int:
        """How many rows it has landed, be it finished or not."""


class Singer(Peer):
    name = "tap-facebook + target-postgres"
    homes = ("tap-facebook", "meltanolabs-target-postgres")
    database = "PostgreSQL"

    def config(self, work: Work) -> dict[str, str]:
        return {
            # It starts so many days before its start, and one is the fewest.
            "start_date": f"{work.since + timedelta(days=1)}T00:00:00Z",
            "insights_buffer_days": "1",
            "end_date": f"{work.until}T00:00:00Z",
            "account_id": ACCOUNT,
            "access_token": work.graph.token,
        }

    def commands(self, work: Work) -> list[list[str]]:
        """Raises `CalledProcessError` when the tap cannot say which fields it has."""
        tap = pointed("tap-facebook", work.graph, "tap_facebook:main")
        tap += ["--config", work.written("tap.json", self.config(work))]
        said = subprocess.run([*tap, "--discover"], env=ENVIRON, capture_output=True, text=True, check=True)
        chosen = work.written("catalog.json", selected(json.loads(said.stdout), "ads_insights", FIELDS))
        scheme, _, rest = work.postgres.partition("://")
        target = work.written("target.json", {"sqlalchemy_url": f"postgresql+psycopg://{rest}"})
        assert scheme.startswith("postgres"), scheme
        return [
            [*tap, "--properties", chosen],
            [str(python_of("meltanolabs-target-postgres").with_name("target-postgres")), "--config", target],
        ]

    def rows(self, work: Work) -> int:
        with psycopg.connect(work.postgres) as connection:
            found = connection.execute(
                "SELECT table_schema FROM information_schema.tables WHERE table_name = 'ads_insights'"
            ).fetchone()
            if found is None:
                return 0
            count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(found[0], "ads_insights"))
            (rows,) = connection.execute(count).fetchone() or (0,)
            return int(rows)


class Reports(Peer):
    name = "facebook-ads-reports, page 500"
    homes = ("facebook-ads-reports",)
    database = "CSV file"

    def commands(self, work: Work) -> list[list[str]]:
        script = str(Path(__file__).with_name("reports_peer.py"))
        asked = [work.graph.url, work.graph.token, ACT, str(work.since), str(work.until), ",".join(FIELDS)]
        return [[str(python_of("facebook-ads-reports")), "-P", script, *asked, str(work.home / "report.csv")]]

    def rows(self, work: Work) -> int:
        report = work.home / "report.csv"
        return max(0, lines(report) - 1) if report.exists() else 0


class Airbyte(Peer):
    name = "Airbyte source-facebook-marketing"
    homes = ("airbyte-source-facebook-marketing",)
    database = "JSON lines"

    def commands(self, work: Work) -> list[list[str]]:
        config = {
            "account_ids": [ACCOUNT],
            "credentials": {"auth_type": "Service", "access_token": work.graph.token},
            "start_date": f"{work.since}T00:00:00Z",
            "end_date": f"{work.until}T00:00:00Z",
            "custom_insights": [
                {"name": AIRBYTE_STREAM, "level": "ad", "fields": list(FIELDS), "time_increment": 1}
            ],
        }
        stream = {
            "name": f"custom{AIRBYTE_STREAM}",
            "json_schema": {"type": "object"},
            "supported_sync_modes": ["full_refresh", "incremental"],
        }
        catalog = {
            "streams": [{"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}]
        }
        return [
            [
                *pointed(
                    "airbyte-source-facebook-marketing", work.graph, "source_facebook_marketing.run:run"
                ),
                "read",
                *("--config", work.written("config.json", config)),
                *("--catalog", work.written("catalog.json", catalog)),
            ]
        ]

    def rows(self, work: Work) -> int:
        with work.out.open(errors="replace") as said:
            return records(said)


PEERS: tuple[Peer, ...] = (Singer(), Reports(), Airbyte())


def python_of(home: str) -> Path:
    return HOMES / home / "bin" / "python"


def pinned(package: str, requirements: str) -> str:
    """The version of a package in pinned requirements."""
    (line,) = [line for line in requirements.splitlines() if line.startswith(f"{package}==")]
    return line.partition("==")[2]


def pointed(home: str, graph: Graph, entry: str) -> list[str]:
    """The command of a peer that stands on the official SDK, pointed at the sandbox."""
    return [str(python_of(home)), "-P", POINTED, graph.url, entry]


def selected(catalog: Mapping[str, Any], stream: str, fields: Iterable[str]) -> dict[str, Any]:
    """A Singer catalog with one stream chosen, and of it these fields."""
    (entry,) = [one for one in catalog["streams"] if one["tap_stream_id"] == stream]
    if unknown := set(fields) - set(entry["schema"]["properties"]):
        raise ValueError(f"{stream} has no {', '.join(sorted(unknown))}")
    chosen = [
        {
            "breadcrumb": one["breadcrumb"],
            "metadata": {
                **one["metadata"],
                "selected": not one["breadcrumb"] or one["breadcrumb"][-1] in fields,
            },
        }
        for one in entry["metadata"]
    ]
    return {"streams": [{**entry, "metadata": chosen}]}


def records(said: Iterable[str]) -> int:
    """How many whole records of Airbyte's protocol there are; what an ended process cut is none."""
    return sum(line.startswith('{"type":"RECORD"') and line.endswith("}\n") for line in said)


def lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
