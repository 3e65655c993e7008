"""The lab: policies through the real change path, scored by the truth, reported with the oracle beside them."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Client
from campaigns.models import Attempt, Change, LedgerLine
from metaads.sandbox.lab import oracle, response
from strategies.lab import report, score, stage, trial
from strategies.lab.policies import POLICIES, named
from strategies.lab.score import Score
from strategies.lab.stage import Tally
from strategies.lab.trial import ORACLE, Trial
from strategies.management.commands import lab
from strategies.models import Strategy
from tests.metaads.sandbox.lab.worlds import Place, place, world_data, written

GOOD = {"name": "Good", "cvr": 0.1}
LOSER = {"name": "Loser", "cvr": 0.012}
SHORT = {"history_days": 10}


# --- the product in a world -----------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    return written(tmp_path, world_data({**GOOD, "cvr": 0.25}, LOSER, **SHORT))


def test_policies_act_through_the_change_path_and_leave_nothing_behind(
    source: pathlib.Path, db: None
) -> None:
    with stage.opened(source, "a") as opened:
        good, loser = stage.adset_ids(stage.sandbox_of(source, opened.plan, _clock(opened)), opened.plan)
        for name in ("stop-week", "ours"):
            with opened.policy() as run:
                day_0(run, name)
                [change] = Change.objects.of(run.account.client_id).filter(field="status")
                assert (change.object_id, change.target, change.state) == (loser, "PAUSED", "APPLIED")
                assert change.source == "strategy"
                assert change.approved_by_id == opened.person.user_id
                assert Attempt.objects.of(run.account.client_id).filter(change=change).count() == 1
                assert LedgerLine.objects.of(run.account.client_id).filter(change=change).count() > 4
                at = run.sandbox.clock.timestamp()
                assert run.sandbox.world.nodes[loser].get("status", at) == "PAUSED"
                assert run.sandbox.world.nodes[good].get("status", at) == "ACTIVE"
                assert run.tally.filed == Change.objects.of(run.account.client_id).count()
                assert run.tally.applied + run.tally.refused == run.tally.filed
            assert not Change.objects.of(opened.account.client_id).exists()  # the next one starts afresh
    assert not Client.objects.filter(slug="lab-of-worlds").exists()


def test_budgets_move_within_the_money_of_day_0_and_the_products_own_drafts_are_evaluated(
    source: pathlib.Path, db: None
) -> None:
    with stage.opened(source, "a") as opened:
        with opened.policy() as run:
            day_0(run, "greedy")
            assert run.tally.applied > 0
            run.clock.advance(3600)
            run.read()
            assert 0 < sum(row.daily_budget or 0 for row in trial.Desk(run, 0).running) <= 120
        with opened.policy() as run:
            day_0(run, "thresholds")
            strategies = Strategy.objects.of(run.account.client_id)
            assert strategies.exists()
            assert all(one.last_evaluated_at == run.stage.begun for one in strategies)


def test_what_a_guard_refuses_is_refused_and_counted(source: pathlib.Path, db: None) -> None:
    """Half as much again is more than a rule may add at once; and beyond the money of day 0 nothing is raised."""
    with stage.opened(source, "a") as opened, opened.policy() as run:
        for target in ("90", "72"):
            run.file(
                object_id=trial.stage.adset_ids(run.sandbox, opened.plan)[0],
                what=stage.Field.DAILY_BUDGET,
                target=target,
                reason="more",
            )
        run.carry()
        assert (run.tally.filed, run.tally.refused, run.tally.applied) == (2, 2, 0)
        assert any("more than # %" in why for why in run.tally.reasons)
        assert any("could spend up to" in why for why in run.tally.reasons)


def day_0(run: stage.Run, name: str) -> None:
    named(name).act(trial.Desk(run, 0))
    run.carry()


def _clock(opened: stage.Stage) -> Any:
    return stage.ManualClock(opened.begun)


# --- the score ------------------------------------------------------------------------------------------------------


def stop(here: Place, name: str) -> None:
    edit = {"object_id": here.adsets[name], "field": "status", "value": "PAUSED"}
    here.sandbox.control.handle("POST", "edit", edit)


def scored(here: Place, days: int) -> Score:
    here.sandbox.clock.set(stage.moment(here.plan, days, 1))
    return score.of(here.sandbox, here.plan, days=days, warm_up=days // 2)


def test_a_stop_is_wrong_where_the_true_cost_was_within_the_target(tmp_path: pathlib.Path) -> None:
    here = place(tmp_path, world_data(GOOD, LOSER))
    stop(here, "Good")
    found = scored(here, 9)
    assert (found.stops, found.wrong_stops, found.healthy) == (1, 1, 1)
    assert (found.losers, found.late_stops) == (1, 1)


@pytest.mark.parametrize("day, late", [(7, 0), (8, 1)])
def test_a_loser_has_to_be_stopped_within_seven_days(day: int, late: int, tmp_path: pathlib.Path) -> None:
    here = place(tmp_path, world_data(GOOD, LOSER))
    here.pass_days(day)
    stop(here, "Loser")
    found = scored(here, 9)
    assert (found.stops, found.wrong_stops, found.losers, found.late_stops) == (1, 0, 1, late)


def test_who_turns_into_a_loser_counts_from_that_day_on(tmp_path: pathlib.Path) -> None:
    shock = [{"day": 3, "what": "cvr", "factor": 0.1, "ad_sets": ["Good"]}]
    here = place(tmp_path, world_data(GOOD, shocks=shock))
    assert scored(here, 10).losers == 0  # seven days after it have not passed
    assert (scored(here, 11).losers, scored(here, 11).late_stops) == (1, 1)
    early = place(tmp_path, world_data(GOOD, shocks=shock))
    stop(early, "Good")
    assert (scored(early, 11).losers, scored(early, 11).wrong_stops) == (0, 1)


def test_profit_is_what_really_happened(tmp_path: pathlib.Path) -> None:
    """Conversions that were never told are worth as much; what a day after the warm-up earned is told apart."""
    shock = [{"day": 0, "what": "tracking"}]
    told, blind = (place(tmp_path, world_data(GOOD, shocks=some)) for some in ([], shock))
    one, other = scored(told, 6), scored(blind, 6)
    assert dataclasses.astuple(one) == dataclasses.astuple(other)
    did = score.lived(told.sandbox, told.plan, 6)
    assert one.profit == pytest.approx((did.value.sum() * 0.5 - did.spend.sum()) / 100)
    assert one.profit_late == pytest.approx((did.value[3:].sum() * 0.5 - did.spend[3:].sum()) / 100)
    assert one.conversions == did.conversions.sum() > 10


def test_the_oracle_earns_in_the_sandbox_what_it_was_promised(tmp_path: pathlib.Path) -> None:
    """Its budgets jump without a learning phase, and without noise they earn what the response says."""
    source = written(tmp_path, world_data(GOOD, LOSER, {"name": "Deep", "depth": 900}, noise=0))
    here = place(tmp_path, world_data(GOOD, LOSER, {"name": "Deep", "depth": 900}, noise=0))
    market, state = response.market(here.plan, days=8), here.state()
    promised = oracle.profit(market, state, oracle.best(market, state, budget=18_000)) / 100
    best = trial._oracle(source, here.plan, days=8, warm_up=4)
    assert best.policy == ORACLE
    assert best.score.expected == pytest.approx(promised, rel=0.01)
    assert best.score.expected > 1.1 * scored(here, 8).expected
    assert best.score.spend <= 8 * 180


# --- the report -----------------------------------------------------------------------------------------------------

EMPTY = Score(
    spend=100, conversions=5, profit=50, expected=50, spend_late=50, profit_late=25, expected_late=25,
    healthy=4, wrong_stops=0, losers=2, late_stops=0, stops=0, budget_changes=0,
)  # fmt: skip
SETUP = {"file": "w.json", "digest": "d", "days": 28, "warm_up": 14}


def trials(worlds: int, **by_policy: dict[str, Any]) -> list[Trial]:
    rows = {ORACLE: {}, **by_policy}
    return [
        Trial(f"w{number}", name, 100.0, dataclasses.replace(EMPTY, **values), Tally(filed=3, refused=1), 1.0)
        for number in range(worlds)
        for name, values in rows.items()
    ]


def reported(rows: list[Trial]) -> dict[str, Any]:
    return report.report(rows, words={}, setup=SETUP, seed=1)


def test_a_report_has_shares_of_the_oracle_with_intervals_over_worlds() -> None:
    rows = trials(10, keep={"expected_late": 20}, ours={"expected_late": 24})
    rows = [
        dataclasses.replace(one, score=dataclasses.replace(one.score, expected_late=10))
        if (one.world, one.policy) == ("w3", "keep")
        else one
        for one in rows
    ]
    found = reported(rows)
    assert found["schema"] == 1
    assert found["about"] == "A simulator proves software, not markets."
    by = {one["name"]: one for one in found["policies"]}
    assert by["keep"]["share_of_oracle"]["value"] == pytest.approx(0.76)
    assert by["keep"]["share_of_oracle"]["low"] < 0.76 < by["keep"]["share_of_oracle"]["high"]
    assert by["ours"]["share_of_oracle"] == {"value": 0.96, "low": 0.96, "high": 0.96}
    assert by["keep"]["refused"] == 10
    assert found == reported(rows), "the intervals are seeded"
    assert json.loads(json.dumps(found)) == found


def test_a_large_world_does_not_outvote_the_others() -> None:
    rows = trials(2, keep={"expected_late": 5})
    large = [
        dataclasses.replace(
            one,
            budget=10_000.0,
            score=dataclasses.replace(one.score, expected_late=2_500),
        )
        if one.world == "w1"
        else one
        for one in rows
    ]
    share = reported(large)["policies"][1]["share_of_oracle"]["value"]
    assert share == pytest.approx((0.05 + 0.25) / 0.5)


def test_goals_are_told_as_met_or_not() -> None:
    good = reported(trials(20, keep={"expected_late": 20}, ours={"expected_late": 24, "expected": 52}))
    assert [one["met"] for one in good["goals"]] == [True] * 5
    bad = reported(
        trials(
            20,
            keep={"expected_late": 25},
            ours={"expected_late": 20, "expected": 48, "wrong_stops": 1, "late_stops": 1},
        )
    )
    assert [one["met"] for one in bad["goals"]] == [False] * 5
    assert "NOT MET  healthy ad sets wrongly stopped: 25.0% (wanted at most 5%)" in report.table(bad)
    assert "A simulator proves software, not markets." in report.table(bad)
    assert reported(trials(2, keep={}))["goals"] == []


def test_a_report_can_be_read_back() -> None:
    rows = trials(2, keep={"expected_late": 20})
    assert report.trials_of(reported(rows)) == rows


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"policies": "keep,magic"}, "There is no policy 'magic'; there are keep, equal"),
        ({"only": "b"}, "has no world 'b'"),
        ({"split": "test"}, "no test part"),
        ({"days": 0}, "--days is 1 to 365"),
        ({"days": 4, "warm_up": 4}, "--warm-up less than that"),
        ({"reuse": pathlib.Path("/nowhere")}, "is no report of this version"),
    ],
)
def test_the_command_says_what_is_wrong_before_it_begins(
    options: dict[str, Any], sentence: str, source: pathlib.Path
) -> None:
    with pytest.raises(CommandError) as told:
        call_command("lab", worlds=source, **options)
    assert sentence in str(told.value)


def test_what_an_earlier_report_has_is_taken_over(tmp_path: pathlib.Path) -> None:
    """A policy that it has in every world; of the oracle and of others nothing."""
    rows = trials(2, keep={}, greedy={})
    earlier = tmp_path / "report.json"
    found = reported(rows)
    found["trials"].pop()  # greedy in the second world
    earlier.write_text(json.dumps(found))
    taken = lab._known(earlier, SETUP, ["w0", "w1"], [named("keep"), named("greedy"), named("ours")])
    assert taken == [one for one in rows if one.policy == "keep"]


def test_a_report_of_other_worlds_is_not_taken_over(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "report.json"
    other.write_text(json.dumps(reported(trials(1, keep={}))))
    with pytest.raises(CommandError, match="digest differ"):
        call_command("lab", worlds=source, reuse=other, policies="keep")


def test_the_worlds_of_the_product_are_read_and_their_test_seeds_are_apart() -> None:
    from metaads.sandbox.lab import family

    path = pathlib.Path(stage.__file__).with_name("worlds.json")
    train, test = family.names(path, split="train"), family.names(path, split="test")
    assert len(test) >= 30
    assert not set(train) & set(test)
    assert all(family.pick(path, name).ad_sets for name in (train[0], test[-1]))


def test_every_policy_has_a_name_of_its_own_and_looks_when_it_says() -> None:
    assert len({one.name for one in POLICIES}) == len(POLICIES) == 7
    assert named("keep").looks_on(3) == ()
    assert [day for day in range(6) if named("greedy").looks_on(day)] == [0, 2, 4]
    assert [day for day in range(9) if named("equal").looks_on(day)] == [0, 1, 2, 3]
