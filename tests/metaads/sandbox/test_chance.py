"""Conversions by chance: random like a Poisson process, seeded, and never moved by what comes later."""

from __future__ import annotations

import datetime as dt
import pathlib

import numpy as np

from metaads.sandbox.delivery.day import PURCHASE
from tests.metaads.sandbox.lab.worlds import Place, place, world_data

FLAT = {"audience": 10**8, "fatigue": 0, "cvr": 0.09, "depth": 10**6}


def counts(here: Place, days: int) -> np.ndarray:
    here.pass_days(days)
    told = here.earned(0, days - 1)
    return np.array([line["conversions"] for lines in told.values() for line in lines.values()])


def spread(folder: pathlib.Path, *, chance: bool) -> tuple[float, float]:
    """Mean, and variance over mean, of the conversions of an ad set's day: 240 of them, all of one expectation."""
    sets = [FLAT] * 6
    found = counts(place(folder, world_data(*sets, noise=0, chance=chance, learning=False)), 40)
    return float(found.mean()), float(found.var() / found.mean())


def test_counts_vary_as_a_poisson_process_does_where_without_chance_they_hardly_do(
    tmp_path: pathlib.Path,
) -> None:
    mean, by_chance = spread(tmp_path, chance=True)
    even_mean, even = spread(tmp_path, chance=False)
    assert 0.75 < by_chance < 1.3  # 240 counts: standard error 0.09
    assert even < 0.35
    assert abs(mean - even_mean) < 4 * (mean / 240) ** 0.5


def test_the_same_seed_gives_the_same_chance_and_another_another(tmp_path: pathlib.Path) -> None:
    data = world_data(FLAT, noise=0)
    one, again = counts(place(tmp_path, data), 20), counts(place(tmp_path, data), 20)
    other = counts(place(tmp_path, {**data, "seed": 2}), 20)
    assert (one == again).all()
    assert (one != other).any()


def test_a_raise_adds_events_and_moves_none_that_happened(tmp_path: pathlib.Path) -> None:
    calm, raised = (place(tmp_path, world_data(FLAT), hour=12.0) for _ in range(2))
    adset = raised.adsets["Set 1"]
    edit = {"object_id": adset, "field": "daily_budget", "value": 40_000}
    raised.sandbox.control.handle("POST", "edit", edit)
    noon = raised.sandbox.clock.timestamp()
    clicked = []
    for here in (calm, raised):
        here.pass_days(1)
        campaign = here.sandbox.engine.campaigns(here.account, noon)[0]
        [day] = here.sandbox.engine.days(
            campaign, here.plan.start, here.plan.start, here.sandbox.clock.timestamp()
        )
        clicked.append(np.sort(day.events.clicked[day.events.kind == PURCHASE]))
    before = [one[one < noon] for one in clicked]
    assert len(before[0]) > 0
    assert (before[0] == before[1]).all()
    assert len(clicked[1]) > len(clicked[0])


def test_lost_tracking_hides_conversions_that_happen_all_the_same(tmp_path: pathlib.Path) -> None:
    shock = [{"day": 1, "until": 3, "what": "tracking"}]
    here, blind = place(tmp_path, world_data(FLAT)), place(tmp_path, world_data(FLAT, shocks=shock))
    assert (counts(here, 6) == counts(blind, 6)).all()
    told = [purchases(one, 6) for one in (here, blind)]
    assert told[1][1:3] == [0, 0] != told[0][1:3]
    assert told[1][:1] + told[1][3:] == told[0][:1] + told[0][3:]


def purchases(here: Place, days: int) -> list[int]:
    """What Meta tells of each day when all has been told."""
    here.pass_days(40)
    last = here.plan.start + dt.timedelta(days=days - 1)
    found = here.sandbox.truth.by_day(
        here.account, since=here.plan.start, until=last, now=here.sandbox.clock.timestamp()
    )
    return [numbers["purchases"] for _day, numbers in sorted(found.items())]
