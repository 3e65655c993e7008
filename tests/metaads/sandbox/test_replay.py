"""A replaying sandbox says what the plain one says, and forgets as soon as the world changes."""

from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from metaads.sandbox.replay import Replayed
from tests import door
from tests.metaads.sandbox.conftest import ACCOUNT, START, Graph

QUESTION = {"level": "ad", "fields": "ad_id,spend,impressions", "date_preset": "last_7d", "time_increment": 1}


def graph(*, replay):
    sandbox = Sandbox(world="tiny", seed=7, clock=ManualClock(START))
    answering = Replayed(sandbox) if replay else sandbox
    return answering, Graph(sandbox, sandbox.token(), door.session(answering))


def test_it_pages_like_the_plain_one_and_is_worked_out_once():
    replayed, fast = graph(replay=True)
    _, plain = graph(replay=False)
    for _ in range(2):
        for limit in (5, 500):
            assert fast.rows(f"{ACCOUNT}/insights", limit=limit, **QUESTION) == plain.rows(
                f"{ACCOUNT}/insights", limit=limit, **QUESTION
            )
    asked = len(replayed.sandbox.history)
    assert replayed.requests == 2 * asked


def test_an_effect_makes_it_forget():
    replayed, alice = graph(replay=True)
    before = alice.get(f"{ACCOUNT}/insights", **QUESTION)
    campaign = alice.get(f"{ACCOUNT}/campaigns", fields="id")["data"][0]["id"]
    assert alice.post(campaign, status="PAUSED")["success"]
    asked = len(replayed.sandbox.history)
    assert alice.get(f"{ACCOUNT}/insights", **QUESTION)["data"] == before["data"]
    assert len(replayed.sandbox.history) == asked + 1


def test_a_token_that_meta_refuses_is_not_answered_from_memory():
    _, alice = graph(replay=True)
    assert alice.get(f"{ACCOUNT}/insights", **QUESTION)["data"]
    answer = alice.raw("GET", f"{ACCOUNT}/insights", **{**QUESTION, "access_token": "EAAwrong"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 190)


def test_another_token_of_the_same_person_is_answered_from_memory_once_it_was_good():
    replayed, alice = graph(replay=True)
    before = alice.raw("GET", f"{ACCOUNT}/insights", **QUESTION).text
    assert alice.token in before  # in the address of the next page
    renewed = Graph(replayed.sandbox, replayed.sandbox.token(), door.session(replayed))
    for asked in (1, 0, 0):
        calls = len(replayed.sandbox.history)
        found = renewed.raw("GET", f"{ACCOUNT}/insights", **QUESTION).text
        assert found == before.replace(alice.token, renewed.token)
        assert len(replayed.sandbox.history) == calls + asked


def test_a_person_who_may_see_less_does_not_hear_what_another_one_was_told():
    replayed, alice = graph(replay=True)
    assert alice.get(f"{ACCOUNT}/insights", **QUESTION)["data"]
    blind = Graph(
        replayed.sandbox, replayed.sandbox.token(scopes=("public_profile",)), door.session(replayed)
    )
    for _ in range(2):
        assert "error" in blind.get(f"{ACCOUNT}/insights", **QUESTION)


def run_rows(graph, **params):
    """The rows of a report run and its id; a run of a replaying sandbox is ready at the first look."""
    run = graph.post(f"{ACCOUNT}/insights", **QUESTION)["report_run_id"]
    assert graph.get(run)["async_status"] == "Job Completed"
    return graph.rows(f"{run}/insights", **params), run


def test_a_report_run_is_ready_at_the_first_look_and_says_what_a_read_says():
    _, fast = graph(replay=True)
    _, plain = graph(replay=False)
    expected = plain.rows(f"{ACCOUNT}/insights", limit=5, **QUESTION)
    assert run_rows(fast, limit=5)[0] == expected
    run = plain.post(f"{ACCOUNT}/insights", **QUESTION)["report_run_id"]
    assert plain.error("GET", run) == (100, 33)


def test_two_runs_of_one_question_are_worked_out_once_and_page_under_their_own_ids():
    replayed, alice = graph(replay=True)
    first, one = run_rows(alice, limit=5)
    asked = len(replayed.sandbox.history)
    second, two = run_rows(alice, limit=5)
    assert second == first
    assert len(replayed.sandbox.history) == asked + 2  # the run and the look at it
    assert f"/{two}/insights?" in alice.get(f"{two}/insights", limit=5)["paging"]["next"]
    assert one != two


def test_a_run_makes_nothing_forgotten():
    replayed, alice = graph(replay=True)
    before = alice.get(f"{ACCOUNT}/insights", **QUESTION)
    run_rows(alice)
    asked = len(replayed.sandbox.history)
    assert alice.get(f"{ACCOUNT}/insights", **QUESTION) == before
    assert len(replayed.sandbox.history) == asked
