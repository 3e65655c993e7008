"""A worker is frozen in the middle of a change (SIGSTOP) and goes on later as if nothing had happened; much has.

The machine under it was paused, or had no time for it: it cannot know. The one place that no client closes is the last
moment before the first byte (docs/operations.md, *not promised*), so nothing is frozen there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from metaads.crash import POINTS
from tests.prove.grid import DATABASES, EDITED, STOPPED, TAKEN_OVER, Lane, opened
from tests.prove.test_kill_grid import LARGE, N

pytestmark = [pytest.mark.prove, pytest.mark.fault("F24", "F79", "F144")]

#: Inside a transaction the others wait for its lock: there a freeze is a delay. These are all the others on the way.
FREEZING = (
    "send.claimed", "send.preparing", "send.looked", "send.agreed", "send.ready", "send.committed", "send.guarded",
    "send.answered", "send.recorded", "settle.claimed", "settle.verifying", "settle.looked", "settle.ended",
)  # fmt: skip
#: Between the COMMIT of the attempt and its request.
BETWEEN = ("send.committed", "send.guarded")
MEANWHILE = (TAKEN_OVER, STOPPED, EDITED)


def trials() -> Iterator[tuple[str, str]]:
    """Everything at the dangerous points, elsewhere in turn; from N=1000 on everything everywhere."""
    for number, point in enumerate(FREEZING):
        for turn, meanwhile in enumerate(MEANWHILE):
            if N >= LARGE or point in BETWEEN or number % len(MEANWHILE) == turn:
                yield point, meanwhile


def test_every_frozen_point_is_one_of_the_product_s() -> None:
    assert set(FREEZING) <= set(POINTS) and set(BETWEEN) <= set(FREEZING)


@pytest.fixture(scope="module", params=DATABASES)
def lane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    with opened(request.param, tmp_path_factory.mktemp("freezes"), count=1) as made:
        yield made[0]


def test_a_worker_that_was_frozen_anywhere_sends_nothing_that_is_not_wanted_any_more(lane: Lane) -> None:
    wrong = [text for point, meanwhile in trials() for text in lane.freeze(point, meanwhile, within=0.5)]
    assert wrong == [], "\n".join(wrong)


def test_five_real_seconds_between_the_commit_and_the_request_are_too_long(lane: Lane) -> None:
    began = time.monotonic()
    assert lane.freeze("send.committed", STOPPED, within=5.0) == []
    assert time.monotonic() - began > 5
