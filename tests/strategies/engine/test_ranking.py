"""Who is among the highest and lowest: ties, zeros, unknown figures, and what is left out of the field."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.judge import judge, prepare
from strategies.engine.ranking import among, places
from strategies.engine.rules import Case, Document, FactIs, Rank, Scope
from strategies.engine.types import LAST_7_DAYS, Action, Do
from tests.strategies.figures import NOW, snapshot, subject


def ranked(rank, **spend):
    """name=spend -> who is in; None for an unknown figure."""
    field = [subject(name, spend=value) for name, value in spend.items()]
    found = places(rank, field)
    return {name: among(rank, found.get(name)) for name in spend}


def lowest(count=None, **more):
    return Rank("bottom", "spend", "parent", count, **more)


def test_the_lowest_and_the_highest_are_counted_from_their_ends():
    assert ranked(lowest(1), a="1", b="2", c="3") == {"a": True, "b": False, "c": False}
    assert ranked(Rank("top", "spend", "parent", 2), a="1", b="2", c="3") == {
        "a": False,
        "b": True,
        "c": True,
    }


def test_a_tie_that_does_not_fit_is_out_and_one_that_fits_is_in():
    tied = {"a": "1", "b": "1", "c": "3"}
    assert ranked(lowest(1), **tied) == {"a": False, "b": False, "c": False}
    assert ranked(lowest(2), **tied) == {"a": True, "b": True, "c": False}
    assert not any(ranked(lowest(3), a="5", b="5", c="5", d="5").values())


def test_a_percentage_is_rounded_down():
    nine = {letter: str(place) for place, letter in enumerate("abcdefghi", 1)}
    assert not any(ranked(lowest(percent=Decimal(10)), **nine).values())
    assert [name for name, is_in in ranked(lowest(percent=Decimal("33.3")), **nine).items() if is_in] == [
        "a",
        "b",
    ]


def test_an_unknown_figure_may_stand_anywhere():
    assert ranked(lowest(1), a="1", b="2", c=None) == {"a": None, "b": False, "c": None}
    assert ranked(lowest(2), a="1", b="2", c=None) == {"a": True, "b": None, "c": None}


@given(
    st.lists(st.none() | st.integers(0, 4), min_size=1, max_size=4),
    st.integers(1, 4),
    st.sampled_from(["top", "bottom"]),
)
def test_what_is_said_holds_whatever_the_unknown_figures_are(values, count, end):
    rank = Rank(end, "spend", "parent", count)
    names = [chr(97 + i) for i in range(len(values))]
    said = ranked(rank, **{n: None if v is None else str(v) for n, v in zip(names, values, strict=True)})
    unknown = [i for i, value in enumerate(values) if value is None]
    for guess in product(["0", "2.5", "9"], repeat=len(unknown)):
        filled = [str(value) for value in values]
        for i, one in zip(unknown, guess, strict=True):
            filled[i] = one
        truth = ranked(rank, **dict(zip(names, filled, strict=True)))
        for name, answer in said.items():
            assert answer is None or answer is truth[name]


def test_what_delivered_nothing_is_not_in_the_field_unless_zeros_are_asked_for():
    quiet = subject("quiet", spend="0", impressions="0")
    busy = [subject("a", spend="5"), subject("b", spend="9")]
    without, with_zeros = lowest(1), lowest(1, zeros=True)
    assert "quiet" not in places(without, [quiet, *busy])
    assert among(without, places(without, [quiet, *busy])["a"]) is True
    assert among(with_zeros, places(with_zeros, [quiet, *busy])["quiet"]) is True
    assert among(with_zeros, places(with_zeros, [quiet, *busy])["a"]) is False


def test_a_ratio_on_few_impressions_is_unknown_and_a_sum_is_not():
    by_rate = Rank("bottom", "ctr", "parent", 1)
    thin = [subject("thin", ctr="0.1", impressions="999"), subject("a", ctr="1"), subject("b", ctr="2")]
    assert {one: among(by_rate, place) for one, place in places(by_rate, thin).items()} == {
        "thin": None, "a": None, "b": False
    }  # fmt: skip


@pytest.mark.parametrize(("within", "groups"), [("parent", 3), ("campaign", 2), ("account", 1)])
def test_the_field_is_what_is_in_the_same_parent_campaign_or_account(within, groups):
    ads = [
        subject("1", level="ad", parent_id="x", campaign_id="p", spend="1"),
        subject("2", level="ad", parent_id="x", campaign_id="p", spend="2"),
        subject("3", level="ad", parent_id="y", campaign_id="p", spend="3"),
        subject("4", level="ad", parent_id="z", campaign_id="q", spend="4"),
    ]
    rank = Rank("bottom", "spend", within, 1)
    found = places(rank, ads)
    assert sum(among(rank, place) is True for place in found.values()) == groups


def test_the_field_is_the_rules_scope_with_what_is_paused_by_now():
    rank = lowest(1)
    document = Document(
        (Case("low", rank, (Do(Action.PAUSE),)),),
        level="adset",
        scope=Scope(excluding=("left out",), where=FactIs("name", "contains", "ours")),
    )
    paused = {"status": "PAUSED", "effective_status": "PAUSED"}
    shot = snapshot(
        subject("left out", spend="1", name="ours"),
        subject("theirs", spend="2", name="theirs"),
        subject("paused", spend="3", name="ours too", **paused),
        subject("running", spend="4", name="ours as well"),
    )
    ready = prepare(document, shot, now=NOW)
    said = {one.object_id: judge(document, one, ready, now=NOW) for one in ready.subjects}
    assert {name: one.reason_code for name, one in said.items()} == {
        "left out": "not_in_scope", "theirs": "not_in_scope", "paused": "not_running", "running": "not_met"
    }  # fmt: skip
    running = said["running"].subject.places[rank.key]
    assert (running.size, running.ahead) == (2, 1)
    assert said["running"].subject.values[LAST_7_DAYS]["spend"] == 4
