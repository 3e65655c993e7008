"""Small lab worlds for tests, and a sandbox that stands at a world's first morning."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import pathlib
from typing import Any

from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from metaads.sandbox.delivery import curves
from metaads.sandbox.lab import family, response
from metaads.sandbox.lab.schema import LabWorld
from metaads.sandbox.world.nodes import AD, ADSET

GOOD = {"budget": 60, "audience": 200_000, "cpm": 9, "depth": 80, "ctr": 0.012, "cvr": 0.06, "value": 40}


def world_data(*ad_sets: dict[str, Any], **more: Any) -> dict[str, Any]:
    rows = [{"name": f"Set {number}", **GOOD, **row} for number, row in enumerate(ad_sets or ({},), start=1)]
    return {"name": "a", "target_cpa": 20, "margin": 0.5, "zone": "UTC", "ad_sets": rows, **more}


def written(folder: pathlib.Path, *worlds: dict[str, Any], **top: Any) -> pathlib.Path:
    path = folder / "worlds.json"
    data = {"version": 1, **({"worlds": list(worlds)} if worlds else {}), **top}
    path.write_text(json.dumps(data))
    return path


@dataclasses.dataclass
class Place:
    """A lab world in a sandbox whose clock stands at the given hour of its first day."""

    plan: LabWorld
    sandbox: Sandbox
    adsets: dict[str, str]

    @property
    def account(self) -> str:
        return self.sandbox.ad_accounts()[0]

    def pass_days(self, days: float) -> None:
        self.sandbox.clock.advance(days * 86_400)

    def earned(self, first: int, last: int) -> dict[str, dict[str, dict[str, float]]]:
        """By name and day, over the world's days first .. last."""
        day = dt.timedelta(days=1)
        found = self.sandbox.truth.earned(
            self.account,
            since=self.plan.start + first * day,
            until=self.plan.start + last * day,
            now=self.sandbox.clock.timestamp(),
        )
        return {name: found[one] for name, one in self.adsets.items()}

    def state(self) -> response.State:
        """What the days before the world's first left."""
        world = self.sandbox.world
        campaign = next(iter(self.sandbox.engine.campaigns(self.account, self.sandbox.clock.timestamp())))
        carry = self.sandbox.engine.carry_before(campaign, self.plan.start)
        ids = list(self.adsets.values())
        ads = [world.children(one, AD)[0].id for one in ids]
        return response.state_of(carry, ads, ids)


def place(folder: pathlib.Path, data: dict[str, Any], *, hour: float = 6.0) -> Place:
    path = written(folder, data)
    plan = family.pick(path, data["name"])
    midnight = curves.hours_of(plan.start, plan.zone)[0][0]
    clock = ManualClock(dt.datetime.fromtimestamp(midnight + hour * 3600, dt.UTC))
    sandbox = Sandbox(world=f"lab:{path}#{plan.name}", seed=plan.seed, clock=clock)
    rows = [node for node in sandbox.world.nodes.values() if node.kind == ADSET]
    return Place(plan, sandbox, {str(node.get("name", clock.timestamp())): node.id for node in rows})
