"""Two real processes in the same moment: no room is used twice, nothing is approved twice, nothing is sent twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from campaigns.changes.envelopes import SOFT
from tests.prove.grid import DATABASES, Lane, opened

pytestmark = pytest.mark.prove
#: Rounds of one contest; a round is half a second, and commonly less.
ROUNDS = min(max(int(os.environ.get("PROVE_N") or 200) // 10, 3), 100)


@pytest.fixture(scope="module", params=DATABASES)
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """A founded world in a file of SQLite or in a database of PostgreSQL."""
    with opened(request.param, tmp_path_factory.mktemp("races"), count=1, room="races") as made:
        yield made[0]


def raced(lane: Lane, contest: str, *, rounds: int = ROUNDS, **more: Any) -> list[list[Any]]:
    """What each of the two said, round by round."""
    lane._anew()
    with lane._database() as database:
        said: list[list[Any]] = lane._order(
            do="race", contest=contest, rounds=rounds, database=database, **more
        )["said"]
    return said


def passed(rounds: list[tuple[list[Any], list[Any]]]) -> Counter[int]:
    """In how many rounds how many of the two approvals passed."""
    return Counter(sum(one[0] == "" for one in both) for both in rounds)


@pytest.mark.fault("F127")
def test_of_two_raises_in_the_same_moment_the_client_s_limit_lets_one_pass(ground: Lane) -> None:
    rounds = list(zip(*raced(ground, "raises"), strict=True))
    assert passed(rounds) == {1: ROUNDS}, rounds
    assert all(Decimal(worst) <= Decimal(cap) * SOFT for both in rounds for _, worst, cap in both)


@pytest.mark.fault("F127")
def test_without_the_client_s_lock_both_pass_so_the_race_is_real(ground: Lane) -> None:
    """On PostgreSQL; SQLite lets one process write at a time, whatever is locked."""
    rounds = list(zip(*raced(ground, "raises", rounds=3, unlocked=True), strict=True))
    assert (passed(rounds)[2] > 0) == bool(ground.postgres), rounds


@pytest.mark.fault("F33", "F127")
def test_of_two_approvals_of_one_change_one_passes_and_one_line_says_so(ground: Lane) -> None:
    rounds = list(zip(*raced(ground, "approvals"), strict=True))
    assert passed(rounds) == {1: ROUNDS}, rounds
    assert {one[1] for both in rounds for one in both} == {1}


@pytest.mark.fault("F22")
def test_two_senders_of_the_same_changes_send_each_once(ground: Lane) -> None:
    first, second = raced(ground, "senders", rounds=max(ROUNDS // 10, 1))
    posts = Counter(
        (line["path"], line["params"]["name"])
        for line in ground.box.history
        if line["method"] == "POST" and "name" in line["params"]
    )
    assert first == second and {state for *_, state in first} == {"APPLIED"}
    assert posts == {(object_id, target): 1 for object_id, target, _ in first} and len(posts) >= 5
