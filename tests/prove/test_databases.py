"""A whole PostgreSQL server becomes a standby, is promoted, and is stopped at once in the middle of a request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ask, environment, free_port, started, web
from tests.prove.databases import Postgres, create, own_postgres
from tests.prove.grid import BUDGET, Lane
from tests.prove.stage import LEFT, staged, until

pytestmark = [pytest.mark.prove, pytest.mark.postgres, pytest.mark.redis]

#: Seconds from the server's return until web and worker are back by themselves; one or two on a quiet machine.
BACK = 30.0
#: Seconds that the server stays away: the worker and the web process meet it, and try in vain.
AWAY = 6.0


@pytest.fixture
def server() -> Iterator[Postgres]:
    with own_postgres() as made:
        yield made


@pytest.fixture
def lane(server: Postgres, tmp_path: Path) -> Iterator[Lane]:
    url = create(server.admin, "metaads_lane")
    made = Lane(tmp_path / "lane", environment(tmp_path, DATABASE_URL=url))
    yield made
    made.close()


@pytest.mark.fault("F97")
def test_a_server_that_is_demoted_promoted_and_stopped_at_once_sees_one_change_take_effect_once(
    server: Postgres, lane: Lane, tmp_path: Path
) -> None:
    with staged(lane, tmp_path) as (stage, worker):
        port = free_port()
        with started({**lane.environ, "REDIS_URL": stage.url}, *web(port)) as page:

            def ready() -> bool:
                return ask(port, "/readyz")[0] == 200

            until(ready, "the web process does not start", 90)
            plan = {"do": "live", "object": lane.object, "field": BUDGET, "target": "120", "rounds": 0}
            lane._order(**plan, database="metaads_lane")
            assert stage.state == "APPROVED"

            server.stop()
            server.demote()
            server.start()
            until(lambda: "no writes" in str(ask(port, "/readyz")[1]), "/readyz does not tell of a standby")
            stage.send("campaigns.tasks.sweep")
            until(lambda: not stage.waiting, "no message is taken on a standby")
            time.sleep(1)
            assert stage.state == "APPROVED" and not stage.gate.entered.is_set()
            server.promote()
            until(ready, "/readyz does not tell of the promotion", BACK)

            stage.in_the_middle()
            server.stop()
            stage.gate.open.set()
            until(lambda: stage.gate.writes == 1, "the request was on its way")
            until(lambda: ask(port, "/readyz")[0] == 503, "/readyz does not tell of a database that is away")
            stage.send("campaigns.tasks.sweep")
            time.sleep(AWAY)
            server.start()
            back = time.monotonic()
            until(ready, "the web process does not come back", BACK)
            web_took = time.monotonic() - back
            stage.send("campaigns.tasks.sweep")
            until(lambda: not stage.waiting, "the worker does not come back", BACK)
            print(f"\nPostgreSQL is back: web {web_took:.1f} s, worker {time.monotonic() - back:.1f} s later")  # noqa: T201
            stage.swept("APPLIED", every=20)
            assert worker.poll() is None and page.poll() is None
            assert stage.gate.writes == 1 and stage.ask(LEFT) == (1,)
