"""Why a strategy did, or did not, ask for something about one object: a sentence, the tree with what was seen, and the
smallest change that would turn it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

import strategies.decisions as decisions
import strategies.proposals as proposals
from accounts.tenancy import Principal
from dashboard.pages.frame import Context, Part, page, principal, show
from strategies.decisions import Then
from strategies.engine import spans
from strategies.engine.evaluate import evaluate
from strategies.engine.flip import Flip, by_figure, by_rule, flips, seen, weighs
from strategies.engine.reading import read_back
from strategies.engine.rules import All, Any_, Case, Node, Not
from strategies.engine.types import Judgement, Look, Trace, Truth, Verdict
from strategies.engine.wording import sentence, verb

_EARLIER = 6
_TOLD = 5
_GROUPS = {All: "All of these", Any_: "At least one of these", Not: "Not this"}


@dataclass(frozen=True)
class Line:
    """A node of a tree. A condition says what was asked, what was seen, over which days, and how far that is known."""

    words: str
    result: Truth
    seen: str = ""
    limit: str = ""
    window: str = ""
    look: Look | None = None
    why_unknown: str = ""
    below: tuple[Line, ...] = ()


@dataclass(frozen=True)
class CaseLine:
    name: str
    result: Truth
    does: str
    blocked: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Way:
    """One way to turn the verdict: by the figures, by the rules; empty where that way does not turn it."""

    by_figures: str
    by_rules: str
    then: str


@page
def one(request: HttpRequest, uuid: str) -> HttpResponse:
    who = principal(request)
    row = decisions.get(who, uuid)
    context: Context = {
        "title": f"Why: {row.object_name or row.object_id}",
        "row": row,
        "account": row.ad_account,
    }
    return show(
        request, "dashboard/why.html", section="strategies", client=row.ad_account.client, context=context,
        parts={"why": Part("dashboard/parts/why.html", lambda: explained(who, uuid))},
    )  # fmt: skip


def explained(who: Principal, uuid: str) -> Context:
    row = decisions.get(who, uuid)
    at = decisions.then(row)
    judged = decisions.replay(row)
    # What something outside the rules holds, no figure turns.
    held = judged.verdict is Verdict.HELD
    turning = () if held else flips(at.document, at.subject, at.snapshot, now=at.now)
    ways = [_way(flip, judged, at) for flip in turning[:_TOLD]]
    same = decisions.list_(who, strategy=row.strategy, object_id=row.object_id).defer("record")
    return {
        "row": row,
        "said": said(judged, at),
        "fired": judged.verdict is Verdict.FIRED,
        "cases": list(_cases(judged, at)),
        "scope": _lines(at.document.scope.where, at) if at.document.scope.where is not None else (),
        "ways": ways,
        "stays": "" if ways else _stays(judged),
        "snapshot": at.snapshot,
        "same_again": judged.verdict == row.verdict,
        "earlier": list(same.exclude(pk=row.pk)[:_EARLIER]),
        "others": list(
            decisions.about(who, ad_account=row.ad_account, object_ids=[row.object_id]).exclude(
                strategy=row.strategy
            )
        ),
        "asked": list(proposals.list_(who).filter(decision=row)[:_EARLIER]),
    }


def said(judged: Judgement, at: Then) -> str:
    """The one sentence."""
    if judged.verdict is Verdict.FIRED:
        intent = judged.intents[0]
        case = next(case for case in judged.cases if case.name == intent.case)
        return sentence(intent, case, judged.subject, at.snapshot)
    before = {
        Verdict.HELD: "It is met, and held back: ",
        Verdict.EXCLUDED: "It was not judged: ",
    }.get(judged.verdict, "It asked for nothing: ")
    return before + judged.reason[:1].lower() + judged.reason[1:]


def _stays(judged: Judgement) -> str:
    """What has to happen where no number turns it."""
    if judged.verdict is Verdict.HELD:
        return f"It acts as soon as this has gone: {judged.reason}"
    if judged.verdict is Verdict.UNKNOWN:
        return f"No figure or threshold turns it before more is known. {judged.reason}"
    if judged.verdict is Verdict.EXCLUDED:
        return f"No figure turns it while this is so: {judged.reason}"
    return f"No change of one figure or threshold turns it. {judged.reason}".strip()


# --- the tree


def _cases(judged: Judgement, at: Then) -> Iterator[CaseLine]:
    traced = {case.name: case for case in judged.cases}
    for case in at.document.cases:
        trace = traced.get(case.name)
        blocked = ", ".join(code.replace("_", " ") for _, code in trace.blocked) if trace else ""
        yield CaseLine(
            case.name,
            trace.result if trace else None,
            _does(case),
            blocked,
            _lines(case.when, at),
        )


def _does(case: Case) -> str:
    return ", ".join(do.action.value.replace("_", " ") for do in case.do)


def _lines(node: Node, at: Then) -> tuple[Line, ...]:
    trace = evaluate(node, at.subject, at.snapshot, now=at.now)
    return (_line(node, trace, at),)


def _line(node: Node, trace: Trace, at: Then) -> Line:
    match node:
        case All(children) | Any_(children):
            below = tuple(_line(*pair, at) for pair in zip(children, trace.children, strict=True))
            return Line(_GROUPS[type(node)], trace.result, below=below)
        case Not(child):
            return Line(_GROUPS[Not], trace.result, below=(_line(child, trace.children[0], at),))
        case _:
            left, right = seen(node, trace, at.snapshot)
            return Line(
                words=read_back(node, currency=at.snapshot.currency),
                result=trace.result,
                seen=left,
                limit=right,
                window=spans.words(trace.window) if trace.window else "",
                look=at.snapshot.look(trace.window) if trace.window else None,
                why_unknown=trace.why_unknown,
            )


# --- what would turn it


def _way(flip: Flip, judged: Judgement, at: Then) -> Way:
    figures = rules = ""
    if flip.by_figures:
        figures = " and ".join(by_figure(move, at.snapshot) for move in flip.moves)
    if flip.by_rules:
        rules = " and ".join(by_rule(move, at.snapshot) for move in flip.moves)
    after = flip.by_figures or flip.by_rules
    assert after is not None
    return Way(figures, rules, _then(after, judged, at))


def _then(after: Judgement, before: Judgement, at: Then) -> str:
    if before.verdict is Verdict.FIRED:
        return "it would not have asked"
    if after.verdict is Verdict.FIRED:
        wish = verb(after.intents[0], at.snapshot)
        return f"it would ask to {wish[0].lower()}{wish[1:]}"
    if after.verdict is Verdict.HELD:
        return f"it would be met, and held back: {after.reason[:1].lower()}{after.reason[1:].rstrip('.')}"
    if weighs(after):
        return "it would look met, and ask once that is known of the true rate"
    return f"it would be judged: {after.verdict.value.replace('_', ' ')}"
