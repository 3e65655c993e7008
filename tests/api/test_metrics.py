"""`?metrics=` chooses the numbers of every reading path, and the published schema knows each of them."""

from __future__ import annotations

import pytest

from insights.metrics import METRICS
from tests.api.paths import READS

pytestmark = pytest.mark.django_db

LISTS = {"campaigns": "campaigns", "ad-sets": "ad_sets", "ads": "ads", "insights": "insights"}
NUMBERED = tuple(path for path in READS if path.name in (*LISTS, "performance", "realtime"))


@pytest.mark.parametrize("path", NUMBERED, ids=str)
def test_the_asked_metrics_and_no_others_are_answered_as_published(full_house, call, published, path):
    bob, where = call("bob"), path.fill(full_house)[0]

    def found(query: str) -> set[str]:
        answer = bob.get(f"{where}?metrics={query}")
        assert answer.status == 200
        assert published.wrong(path.method, path.template, answer) == []
        rows = answer.body[LISTS[path.name]] if path.name in LISTS else [answer.body]
        assert rows
        (names,) = {frozenset(row) & frozenset(METRICS) for row in rows}
        return set(names)

    assert found("spend") == {"spend"}
    assert found("inline_link_clicks,thruplays") == {"link_clicks", "thruplays"}
    assert found(",".join(METRICS)) == set(METRICS)
    assert "metrics" in {one["name"] for one in published.operation("get", path.template)["parameters"]}
