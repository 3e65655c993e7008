"""Writing rules: the form's page, the preview, the plain form that works without scripts, and the versions in words."""

from __future__ import annotations

import json

import pytest

from strategies import cycle, drafts
from strategies.models import Decision, Strategy
from tests.dashboard.test_pages import signed_in
from tests.dashboard.test_why_page import text
from tests.strategies.conftest import shop, strategy  # noqa: F401
from tests.strategies.test_documents import DEAR, above, rule, save

pytestmark = pytest.mark.django_db


def posted(who, path, document, **more):
    given = {"account": "act_1", "name": "By hand", "document": json.dumps(document), **more}
    return signed_in(who).post(path, given)


def test_the_form_holds_the_rules_their_sentences_and_the_languages_own_words(shop):  # noqa: F811
    row = save(shop, DEAR)
    page = signed_in("bob").get(f"/strategies/{row.uuid}/edit/").content.decode()
    assert "Pause an ad set when CPC is above USD 0.80" in page
    vocabulary = page.partition('<script id="vocabulary" type="application/json">')[2].partition("</script>")[
        0
    ]
    assert "cost_per_landing_page_view" in json.loads(vocabulary)["units"]
    assert f'data-api="/api/strategies/{row.uuid}"' in page and 'data-method="PATCH"' in page


def test_a_strategy_of_thresholds_opens_as_the_rules_that_it_comes_to(shop, strategy):  # noqa: F811
    said = text(signed_in("bob").get(f"/strategies/{strategy.uuid}/edit/"))
    assert "It was written with thresholds" in said and '"raise_budget"' in said


def test_who_may_not_write_strategies_is_told_so(shop):  # noqa: F811
    row = save(shop, DEAR)
    vic = signed_in("vic")
    for path in (f"/strategies/{row.uuid}/edit/", "/strategies/new/?account=act_1"):
        assert vic.get(path).status_code == 403, path
    assert vic.get("/strategies/new/").status_code == 404
    assert posted("vic", "/strategies/save", DEAR, do="save").status_code == 403
    assert Strategy.objects.of(shop.northwind).count() == 1


def test_the_preview_says_what_would_happen_with_age_and_trust_and_writes_nothing(shop):  # noqa: F811
    answer = posted("vic", "/strategies/preview", rule({"any": [above("cpc", "0.80"), above("spend", "90")]},
                                                         {"action": "pause"}))  # fmt: skip
    said = text(answer)
    assert "It would ask Ad set 2 Pause: CPC USD 1.50 is above USD 0.80" in said
    assert "Close: it would ask Ad set 1 if spend were above USD 90.00 (it is USD 84.00)" in said
    assert "Cannot be told" in said and "Ready" in said and "Data version" in said
    assert (
        not Decision.objects.of(shop.northwind).exists() and not Strategy.objects.of(shop.northwind).exists()
    )


def test_a_part_of_the_preview_names_each_mistake_by_its_path(shop):  # noqa: F811
    answer = signed_in("bob").post(
        "/strategies/preview",
        {"account": "act_1", "document": json.dumps({**DEAR, "level": "x"})},
        headers={"X-Part": "1"},
    )
    assert answer.status_code == 400
    assert "document.level" in answer.content.decode() and "<main" not in answer.content.decode()


def test_another_clients_rules_and_accounts_are_nobodys(shop):  # noqa: F811
    row = save(shop, DEAR)
    for more in (
        {"account": "act_1"},
        {"account": "", "strategy": str(row.uuid)},
        {"account": "", "strategy": "x"},
    ):
        for path in ("/strategies/preview", "/strategies/save"):
            assert posted("charlie", path, DEAR, do="save", **more).status_code == 404, (path, more)


def test_the_plain_form_checks_saves_and_edits(shop):  # noqa: F811
    checked = posted("bob", "/strategies/save", DEAR, do="check")
    assert "Pause an ad set when CPC is above USD 0.80" in text(checked)
    assert not Strategy.objects.of(shop.northwind).exists()
    saved = posted("bob", "/strategies/save", DEAR, do="save")
    row = Strategy.objects.of(shop.northwind).get()
    assert (saved.status_code, saved["Location"]) == (303, f"/strategies/{row.uuid}/")
    other = {
        "format": "metaads/rules/1",
        "name": "X",
        "document": rule(above("cpc", "2.00"), {"action": "pause"}),
    }
    posted("bob", "/strategies/save", other, do="save", strategy=str(row.uuid))
    row.refresh_from_db()
    assert (row.version, row.name) == (2, "By hand")


def test_the_plain_form_gives_the_text_back_with_what_is_wrong_in_it(shop):  # noqa: F811
    wrong = rule(above("cpc", "much"), {"action": "raise_budget", "percent": "10"})
    answer = posted("bob", "/strategies/save", wrong, do="save")
    said = text(answer) if answer.status_code == 200 else answer.content.decode()
    assert answer.status_code == 400
    assert "document.cases[0].when.than.number" in said and "document.cases[0].do[0].at_most" in said
    assert "much" in said


def test_versions_are_told_with_their_sentences_and_what_changed(shop):  # noqa: F811
    row = save(shop, DEAR)
    drafts.edit(
        strategy=row, principal=shop.principals.bob, now=shop.clock.now(),
        data={"document": rule(above("cpc", "2.50"), {"action": "pause"})},
    )  # fmt: skip
    cycle.run(strategy=row, now=shop.clock.now())
    said = text(signed_in("vic").get(f"/strategies/{row.uuid}/"))
    assert "Version 2 in force" in said and "Version 1" in said
    assert "“A” says: Pause an ad set when CPC is above USD 2.50" in said
    assert "It said: Pause an ad set when CPC is above USD 0.80" in said
