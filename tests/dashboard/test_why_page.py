"""Why a strategy did, or did not, ask: one page of each answer, three clicks away from wherever somebody wonders."""

from __future__ import annotations

import html
import re

import pytest

from strategies import cycle, drafts
from strategies.models import Decision
from tests.dashboard.test_pages import signed_in
from tests.strategies.conftest import plant, shop  # noqa: F401

pytestmark = pytest.mark.django_db


def saved(shop, when, name="Own", **more):  # noqa: F811
    document = {
        "level": "adset",
        "cases": [{"name": "Dear", "when": when, "do": [{"action": "pause"}]}],
        **more,
    }
    row = drafts.create(
        principal=shop.principals.bob,
        ad_account=shop.ad_account,
        data={"name": name, "document": document},
        now=shop.clock.now(),
    )
    cycle.run(strategy=row, now=shop.clock.now())
    return row


def above(metric, number):
    return {"metric": metric, "op": ">", "than": {"number": number}}


def decided(shop, object_id):  # noqa: F811
    return Decision.objects.of(shop.northwind).get(object_id=object_id, current=True)


def text(answer):
    assert answer.status_code == 200
    main = answer.content.decode().partition("<main")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def why(shop, object_id, who="bob"):  # noqa: F811
    return text(signed_in(who).get(f"/decisions/{decided(shop, object_id).uuid}/"))


def test_what_asked_says_its_sentence_every_figure_and_what_would_have_kept_it_quiet(shop):  # noqa: F811
    saved(shop, {"all": [above("cpc", "0.80"), above("spend", "20")]})
    said = why(shop, "22", "vic")
    assert "Pause: CPC USD 1.50 is above USD 0.80 and spend USD 84.00 is above USD 20.00" in said
    assert "If CPC were at most USD 0.80 (it is USD 1.50) , it would not have asked" in said
    assert "Or if the rule asked for CPC above USD 1.50 instead of USD 0.80" in said
    assert "If spend were at most USD 20.00 (it is USD 84.00)" in said
    version = decided(shop, "22").data_version
    assert said.count(f"data version {version}") == 2 and "the last 7 full days" in said and "Ready" in said
    assert "Judged again from its record just now: the same answer" in said


def test_what_kept_quiet_says_the_smallest_change_that_would_make_it_ask(shop):  # noqa: F811
    saved(shop, {"any": [above("cpc", "0.80"), above("spend", "90")]})
    said = why(shop, "21")
    assert "It asked for nothing: none of the strategy's conditions is met" in said
    first, second = said.index("If spend were above USD 90.00"), said.index("If CPC were above USD 0.80")
    assert first < second and "it would ask to pause" in said


def test_what_cannot_be_told_says_what_is_missing(shop):  # noqa: F811
    saved(shop, above("cpc", "0.80"))
    said = why(shop, "23")
    assert "Cannot be told" in said and "too little data" in said
    assert "No figure or threshold turns it before more is known" in said


def test_what_is_held_says_what_has_to_go_away_first(shop):  # noqa: F811
    saved(shop, {**above("spend", "1"), "window": "last_28d"})
    said = why(shop, "22")
    assert (
        "It is met, and held back" in said
        and "It acts as soon as this has gone" in said
        and "Partial" in said
    )


def test_what_was_not_judged_says_why_and_shows_the_filter(shop):  # noqa: F811
    saved(shop, above("cpc", "0.80"), scope={"where": above("spend", "200")})
    said = why(shop, "22")
    assert "It was not judged: the strategy's filter leaves it out" in said
    assert "If spend were above USD 200.00 (it is USD 84.00)" in said


def test_an_answer_says_what_was_said_before_and_what_other_strategies_say(shop):  # noqa: F811
    saved(shop, above("cpc", "0.80"))
    other = saved(shop, above("spend", "500"), name="Other")
    bob = signed_in("bob")
    row = Decision.objects.of(shop.northwind).get(object_id="22", strategy=other)
    said = text(bob.get(f"/decisions/{row.uuid}/"))
    assert "Other strategies about it Asked Own" in said
    plant(shop, {"22": ("120.00", 2000, 8)})
    cycle.run(strategy=other, now=shop.clock.now())
    late = Decision.objects.of(shop.northwind).get(object_id="22", strategy=other, current=True)
    assert late.pk != row.pk
    assert f"/decisions/{row.uuid}/" in bob.get(f"/decisions/{late.uuid}/").content.decode()
    assert "an earlier answer" in text(bob.get(f"/decisions/{row.uuid}/"))


def test_it_is_one_click_from_campaign_strategy_and_proposal(furnished):
    bob, decision = signed_in("bob"), furnished.proposal.decision
    act = furnished.ad_account.act_id
    for page in (
        f"/a/{act}/campaigns/{furnished.campaign_id}/",
        f"/strategies/{furnished.strategy.uuid}/",
        f"/proposals/{furnished.proposal.uuid}/",
    ):
        assert f'href="/decisions/{decision.uuid}/"' in bob.get(page).content.decode(), page


def test_what_another_strategys_open_wish_holds_back_turns_by_no_figure(shop):  # noqa: F811
    saved(shop, above("cpc", "0.80"))
    other = saved(shop, above("spend", "20"), name="Other")
    row = Decision.objects.of(shop.northwind).get(object_id="22", strategy=other)
    assert row.verdict == "held"
    said = text(signed_in("bob").get(f"/decisions/{row.uuid}/"))
    assert "It acts as soon as this has gone" in said and "spend were" not in said
