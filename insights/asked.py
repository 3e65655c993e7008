"""A question to `analytics`, resolved once: metrics, the client's own formulas, the columns behind, the window."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

import insights.answers as answers
import insights.formulas as formulas
import insights.results as outcomes
from accounts.models import AdAccount
from campaigns.queries import goals
from insights.attribution import DEFAULT, chosen
from insights.expressions import Formula
from insights.metrics import ADDITIVE, RANKINGS, TERMS, Terms, evaluate, measured, named, needed, with_terms
from insights.results import ACTIONS, Goal, Result
from insights.trust import Known, Seen, known
from insights.windows import Period

Values = Mapping[str, Decimal | None]


@dataclass(frozen=True)
class Question:
    """What was asked for. `terms` are the client's; the result in them is "" where each object has its own."""

    names: tuple[str, ...]
    own: Mapping[str, Formula]
    terms: Terms
    bases: frozenset[str]
    columns: frozenset[str]
    window: str
    of_result: bool

    @functools.cached_property
    def additive(self) -> frozenset[str]:
        return self.columns & ADDITIVE.keys()

    def additive_for(self, outcomes: Outcomes) -> frozenset[str]:
        """The columns to be added up where these results count: those of no other are looked at."""
        if not self.each_its_own:
            return self.additive
        found = {"impressions"}
        for action in {result.action for result in outcomes.each.values()} | {""}:
            found |= measured(self.bases, Terms(action))
        return self.additive & found

    @property
    def each_its_own(self) -> bool:
        """Whether every object may have another result: the client names none for all of them."""
        return self.of_result and not self.terms.result_action

    @property
    def ranked(self) -> bool:
        return not self.columns.isdisjoint(RANKINGS)

    def values(self, bases: Values, result: Result | None = None) -> dict[str, Decimal | None]:
        """The metrics over an object's sums; `result` is what counts as its conversion."""
        action = self.terms.result_action if result is None else result.action
        complete = with_terms(bases, Terms(action, self.terms.goods_cost, self.terms.fee))
        return {
            name: self.own[name].evaluate(complete) if name in self.own else evaluate(name, complete)
            for name in self.names
        }

    def hourly(self, name: str) -> bool:
        return self.own[name].hourly if name in self.own else named(name).hourly


def question(ad_account: AdAccount, metrics: Sequence[str], attribution: str = DEFAULT) -> Question:
    """Raises `UnknownMetric`, `UnknownAttribution`."""
    own = formulas.named(ad_account.client_id, metrics)
    bases = _needed(tuple(name for name in metrics if name not in own))
    if own:
        bases |= {base for formula in own.values() for base in formula.bases}
    terms = terms_of(ad_account)
    return Question(
        names=tuple(metrics),
        own=own,
        terms=terms,
        bases=bases,
        columns=_columns(bases, terms.result_action),
        window=chosen(attribution),
        of_result=not TERMS.isdisjoint(bases),
    )


_needed = functools.lru_cache(maxsize=1024)(needed)


@functools.lru_cache(maxsize=1024)
def _columns(bases: frozenset[str], result_action: str) -> frozenset[str]:
    """The columns of rows that are behind these bases; without a result of the client's, those behind every result."""
    # A period without impressions reaches nobody, so reach needs them to be known as 0.
    columns = {"impressions", *(base for base in bases if base in RANKINGS)}
    for action in [result_action] if result_action else ACTIONS:
        columns |= measured(bases, Terms(action))
    return frozenset(columns)


def terms_of(ad_account: AdAccount) -> Terms:
    """What the account's client calls a result, and its costs."""
    client = ad_account.client
    return Terms(client.result_action, client.goods_cost_percent, client.fee_percent)


def known_in(
    ad_account: AdAccount,
    period: Period,
    level: str,
    now: datetime,
    asked: Question,
    kind: str = "day",
    seen: Seen | None = None,
) -> Known:
    """`trust.known`, under a header that names the attribution window."""
    state = known(ad_account=ad_account, period=period, level=level, now=now, kind=kind, seen=seen)
    return replace(state, header=replace(state.header, attribution=asked.window))


@dataclass(frozen=True)
class Outcomes:
    """What counts as a conversion: of every object the same (None where nobody asks), or of `each` its own."""

    same: Result | None
    each: Mapping[str, Result]

    def __call__(self, one: str) -> Result | None:
        return self.each.get(one, self.same)


def results(
    ad_account: AdAccount,
    mark: str,
    level: str,
    period: Period,
    asked: Question,
    object_ids: Collection[str] | None,
) -> Outcomes:
    """What the client says, else what the ad sets that have rows in the period are optimised for. `mark` names the
    data, as for `answers`."""
    if not asked.of_result:
        return Outcomes(None, {})
    if not asked.each_its_own:
        return Outcomes(outcomes.of_client(asked.terms.result_action), {})
    owned = answers.ad_sets(
        ad_account=ad_account, mark=mark, level=level, period=period, object_ids=object_ids
    )
    words = goals(ad_account=ad_account)
    every = {one: _of_goal(words[one]) for ids in owned.values() for one in ids if one in words}
    unread = outcomes.of_goal(None)
    each = {one: outcomes.together({every.get(adset, unread) for adset in ids}) for one, ids in owned.items()}
    return Outcomes(outcomes.together(()), each)


@functools.lru_cache(maxsize=256)
def _of_goal(words: tuple[str, str, str]) -> Result:
    return outcomes.of_goal(Goal(*words))


def ranks(
    ad_account: AdAccount,
    state: Known,
    level: str,
    period: Period,
    asked: Question,
    object_ids: Collection[str] | None,
) -> Mapping[str, Values]:
    """Rankings of ads; what stands above an ad has none."""
    if level != "ad" or not asked.ranked:
        return {}
    return answers.rankings(ad_account=ad_account, mark=state.mark, period=period, object_ids=object_ids)


def ranks_by_day(
    ad_account: AdAccount, state: Known, level: str, period: Period, asked: Question, object_id: str
) -> Mapping[date, Values]:
    """Rankings of one ad, day by day."""
    if level != "ad" or not asked.ranked:
        return {}
    return answers.rankings_by_day(ad_account=ad_account, mark=state.mark, period=period, object_id=object_id)
