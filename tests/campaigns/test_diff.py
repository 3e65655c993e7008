"""Stored against fetched: any two trees, and the same answer as a plain set comparison."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

import campaigns.mapping as mapping
from campaigns.diff import diff

BASE = mapping.campaign(
    {"id": "1", "status": "ACTIVE", "effective_status": "ACTIVE", "name": "x"}, currency="USD"
)

rows = st.dictionaries(
    st.integers(1, 8).map(str),
    st.builds(
        lambda status, budget, name: replace(BASE, status=status, daily_budget=budget, name=name),
        st.sampled_from(["ACTIVE", "PAUSED"]),
        st.none() | st.sampled_from([Decimal("10"), Decimal("10.00"), Decimal("12.5")]),
        st.sampled_from(["a", "b"]),
    ),
    max_size=8,
).map(lambda found: {key: replace(row, meta_id=key) for key, row in found.items()})


@given(rows, rows)
def test_what_the_diff_says_turns_the_stored_tree_into_the_fetched_one(stored, fetched):
    found = diff(stored=stored, fetched=fetched, complete=True)
    made = dict(stored)
    for row in (*found.created, *found.changed):
        made[row.meta_id] = row
    for key in found.removed:
        del made[key]
    assert made == fetched
    assert {row.meta_id for row in found.created} == set(fetched) - set(stored)


@given(rows, rows)
def test_a_partial_read_never_removes_anything(stored, fetched):
    assert diff(stored=stored, fetched=fetched, complete=False).removed == ()


@given(rows)
def test_a_tree_does_not_differ_from_itself(stored):
    assert not diff(stored=stored, fetched=stored, complete=True)


@given(rows, rows)
def test_every_edit_names_the_old_and_the_new_value(stored, fetched):
    for edit in diff(stored=stored, fetched=fetched, complete=True).edits:
        assert edit.before != edit.after
        assert edit.object_id in stored and edit.object_id in fetched


def test_a_budget_edit_is_seen_although_updated_time_stood_still():
    old, new = replace(BASE, daily_budget=Decimal("10")), replace(BASE, daily_budget=Decimal("12.50"))
    (edit,) = diff(stored={"1": old}, fetched={"1": new}, complete=True).edits
    assert (edit.field, edit.before, edit.after) == ("daily_budget", "10", "12.50")
