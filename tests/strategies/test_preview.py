"""What rules would do now, before they are saved: the same as a live run, and nothing is written."""

from __future__ import annotations

import copy

import pytest

from strategies import cycle, documents, drafts
from strategies.errors import BadRules
from strategies.models import Decision, Proposal, Strategy
from strategies.preview import preview
from tests.strategies.test_documents import DEAR, above, rule, save

pytestmark = pytest.mark.django_db


def look(shop, document, **more):
    return preview(ad_account=shop.ad_account, data=document, now=shop.clock.now(), **more)


def test_it_says_who_would_be_asked_about_who_is_close_and_who_cannot_be_told(shop):
    found = look(shop, rule({"any": [above("cpc", "0.80"), above("spend", "90")]}, {"action": "pause"}))
    (would,) = found.would
    assert would.judgement.subject.object_id == "22"
    assert would.sentences[0].startswith("Pause: CPC USD 1.50 is above USD 0.80")
    (near,) = found.near
    assert (near.judgement.subject.object_id, near.flip.moves[0].leaf.metric) == ("21", "spend")
    assert {one.subject.object_id for one in found.unknown} == {"23", "24"}
    assert found.counts == {"fired": 1, "not_met": 1, "unknown": 2, "excluded": 0, "held": 0}


def test_it_says_what_is_held_back_and_why_and_who_is_not_judged(shop):
    held = look(shop, rule(above("spend", "1", window="last_28d"), {"action": "pause"}))
    assert {one.reason_code for one in held.held} == {"data_partial"}
    out = look(shop, rule(above("cpc", "0.80"), {"action": "pause"}, scope={"only": ["22"]}))
    assert out.left_out == (("The strategy is not about this object.", 3),)


def test_it_decides_what_a_live_run_decides_and_writes_nothing(shop):
    before = look(shop, DEAR)
    assert not Strategy.objects.of(shop.northwind).exists()
    assert not Decision.objects.of(shop.northwind).exists()
    live = cycle.run(strategy=save(shop, DEAR), now=shop.clock.now())
    assert {one.judgement.subject.object_id for one in before.would} == {
        one.object_id for one in live.intents
    }


def test_rules_that_stand_in_a_saved_strategys_place_count_what_it_has_open(shop):
    strategy = save(shop, DEAR)
    cycle.run(strategy=strategy, now=shop.clock.now())
    kept = copy.copy(strategy.document)
    same = look(shop, DEAR, strategy=strategy)
    assert [one.judgement.subject.object_id for one in same.would] == ["22"]
    strategy.refresh_from_db()
    assert (strategy.document, strategy.version) == (kept, 1)
    assert Proposal.objects.of(shop.northwind).count() == 1


def test_what_cannot_be_read_is_refused_by_path(shop):
    with pytest.raises(BadRules) as refused:
        look(shop, {**DEAR, "level": "account"})
    assert refused.value.errors[0][0] == "document.level"


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": 1'])
def test_text_that_is_no_json_is_refused(text):
    with pytest.raises(BadRules):
        documents.read_text(text)


def test_an_export_is_read_as_the_document_that_it_holds(shop):
    import json

    from strategies.api.answers import export_json

    strategy = save(shop, DEAR)
    text = json.dumps(export_json(strategy))
    assert documents.read(documents.read_text(text)) == documents.of(strategy)
    assert drafts.get(shop.principals.bob, documents.uuid_of(str(strategy.uuid))) == strategy
