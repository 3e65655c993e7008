"""The table of faults says what the tests say."""

from __future__ import annotations

import os

from tests.coverage_of_faults import DOC, document, marked, marked_in, missing, titles


def test_every_marker_names_a_fault_that_there_is():
    known = {one for rows in titles().values() for one in rows}
    assert sorted((marked().keys() | missing().keys()) - known) == []


def test_a_marker_is_found_wherever_a_test_may_stand():
    source = """
pytestmark = [pytest.mark.django_db, pytest.mark.fault("F1")]

@pytest.mark.fault("F2", "F3")
async def test_one(): ...

class TestMore:
    @pytest.mark.fault("F4")
    def test_two(self): ...

@pytest.mark.fault("F5")
def no_test(): ...
"""
    found = list(marked_in(source))
    assert found == [
        ("F1", "test_one"),
        ("F2", "test_one"),
        ("F3", "test_one"),
        ("F1", "test_two"),
        ("F4", "test_two"),
    ]


def test_the_table_is_made_from_the_markers():
    if os.environ.get("UPDATE_RELIABILITY"):
        DOC.write_text(document(), encoding="utf-8")
    said = DOC.read_text(encoding="utf-8") if DOC.exists() else ""
    assert said == document(), "run it once with UPDATE_RELIABILITY=1 and look at the difference"


def test_reading_meta_and_its_numbers_is_proven_against_its_faults():
    """The answers of the Graph API and the syncing of insights."""
    tests, rows = marked(), [one for group, rows in titles().items() if group[0] in "CD" for one in rows]
    assert [one for one in rows if one not in tests] == []
    assert [one for one in rows if one in missing()] == []
