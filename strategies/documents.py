"""The document that a strategy is evaluated by: its own, or the one that the brief's thresholds and actions come to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from accounts.models import AdAccount
from campaigns.queries import structure
from campaigns.states import Level
from strategies.engine.grammar import BadTree
from strategies.engine.judge import RUNNING
from strategies.engine.language import dump_document, parse_document
from strategies.engine.library import TEMPLATES, Ground, instantiate
from strategies.engine.reading import read_rules
from strategies.engine.rules import Compare, Document, Target, leaves
from strategies.engine.soundness import Finding, examine
from strategies.engine.templates import document as of_brief
from strategies.engine.templates import read_actions, read_thresholds
from strategies.errors import BadRules
from strategies.models import Draft, Strategy, StrategyType, StrategyVersion

#: What an exported strategy says that it is.
FORMAT = "metaads/rules/1"


@dataclass(frozen=True)
class Checked:
    """A document as it was understood: its canonical JSON, the sentences of it, and what it cannot do as things are."""

    document: Document
    json: dict[str, Any]
    read_back: tuple[str, ...]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]


def of(strategy: Strategy | Draft) -> Document:
    """What is evaluated. What is stored was checked when saved; of the brief's a part that is not known any more is
    off."""
    if strategy.type == StrategyType.CUSTOM:
        return parse_document(strategy.document)
    thresholds, _ = read_thresholds(strategy.rules)
    actions, _ = read_actions(strategy.actions, type_=strategy.type)
    return of_brief(thresholds, actions)


def at(strategy: Strategy, version: int) -> Document:
    """What was evaluated at an earlier version."""
    rows = StrategyVersion.objects.of(strategy.client_id).filter(strategy=strategy, version=version)
    return parse_stored(rows.get().document)


def parse_stored(data: Mapping[str, Any]) -> Document:
    """A document that we wrote; one of the brief may have no case at all."""
    return Document(()) if not data["cases"] else parse_document(data)


def stored(document: Document) -> dict[str, Any]:
    """What `parse_stored` reads."""
    return dump_document(document)


def read(data: Any, *, path: str = "document") -> Document:
    """The document that somebody wrote. Raises `BadRules`, every mistake with its path."""
    try:
        return parse_document(data)
    except BadTree as bad:
        errors = [(f"{path}.{at}" if at else path, text) for at, text in bad.errors]
        raise BadRules("These rules cannot be used.", errors=errors) from None


def read_text(text: str) -> Any:
    """The JSON that somebody typed or imported: a document, or an export that holds one. Raises `BadRules`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as bad:
        raise BadRules("This is no JSON.", errors=[("document", str(bad))]) from None
    return found["document"] if isinstance(found, dict) and found.get("format") == FORMAT else found


def uuid_of(text: str) -> str:
    """The text of a UUID; one of nobody for anything else."""
    try:
        return str(UUID(text))
    except ValueError:
        return str(UUID(int=0))


def check(data: Any, *, ad_account: AdAccount) -> Checked:
    """What a document means for this ad account, without saving it. Raises `BadRules`."""
    return checked(read(data), ad_account=ad_account)


def ground(ad_account: AdAccount) -> Ground:
    """What templates take their defaults from: the client's target and the largest daily budget that runs."""
    rows = structure(ad_account=ad_account, levels=(Level.CAMPAIGN, Level.AD_SET))
    budgets = [row.daily_budget for row in rows if row.daily_budget and row.effective_status in RUNNING]
    return Ground(target_cpa=ad_account.client.target_cpa, largest_budget=max(budgets, default=None))


def from_template(key: str, given: Any, *, ad_account: AdAccount) -> Checked:
    """The document that a named template comes to for this ad account, not saved. Raises `BadRules`."""
    template = TEMPLATES.get(key)
    if template is None:
        words = f"must be one of {', '.join(TEMPLATES)}"
        raise BadRules("There is no such template.", errors=[("template", words)])
    if not isinstance(given, Mapping):
        raise BadRules("These parameters cannot be used.", errors=[("parameters", "must be an object")])
    try:
        document = instantiate(template, given=given, ground=ground(ad_account))
    except BadTree as bad:
        errors = [(f"parameters.{at}", text) for at, text in bad.errors]
        raise BadRules("These parameters cannot be used.", errors=errors) from None
    return checked(document, ad_account=ad_account)


def checked(document: Document, *, ad_account: AdAccount) -> Checked:
    """What is said of a document before it is saved."""
    return Checked(
        document=document,
        json=dump_document(document),
        read_back=read_rules(document, currency=ad_account.currency),
        warnings=warnings(document, ad_account=ad_account),
        findings=examine(document),
    )


def warnings(document: Document, *, ad_account: AdAccount) -> tuple[str, ...]:
    """What the document asks for and cannot have as the client is set up now, in sentences."""
    client = ad_account.client
    have = {"cpa": client.target_cpa, "roas": client.target_roas}
    asked = {
        leaf.than.name
        for case in document.cases
        for leaf in leaves(case.when)
        if isinstance(leaf, Compare) and isinstance(leaf.than, Target)
    }
    return tuple(
        f"The client has no target {name.upper()}, so what is compared with it stays unknown."
        for name in sorted(asked)
        if have[name] is None
    )
