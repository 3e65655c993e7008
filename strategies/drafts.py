"""Strategies as people write them: save, edit with versions, and drafts generated from the account's figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

import accounts.access as access
import campaigns.changes.approvals as approvals
import strategies.documents as documents
import strategies.ladder as ladder
import strategies.notices as notices
import strategies.proposals as proposals
import strategies.snapshots as snapshots
from accounts.audit import record
from accounts.errors import Conflict, NotFound
from accounts.models import AdAccount, Client
from accounts.tenancy import Principal
from strategies.engine.generate import generate
from strategies.engine.soundness import REFUSE, examine
from strategies.engine.templates import (
    STATUSES,
    actions_json,
    read_actions,
    read_thresholds,
    thresholds_json,
)
from strategies.errors import BadRules
from strategies.models import (
    Draft,
    Proposal,
    ProposalState,
    Stage,
    Strategy,
    StrategyStatus,
    StrategyType,
    StrategyVersion,
)

#: Fields whose edit makes a new version, since they change what the strategy would decide.
_VERSIONED = ("type", "rules", "actions", "document")
_EDITABLE = ("name", "type", "status", "rules", "actions", "document")


def list_(
    principal: Principal, *, client: Client | None = None, ad_account: AdAccount | None = None
) -> QuerySet[Strategy]:
    """Saved strategies that `principal` may see, by name."""
    rows = Strategy.objects.for_(principal).select_related("ad_account", "client")
    if client is not None:
        rows = rows.filter(client=client)
    if ad_account is not None:
        rows = rows.filter(ad_account=ad_account)
    found: QuerySet[Strategy] = rows.order_by("name", "pk")
    return found


def get(principal: Principal, uuid: str, *, verb: str = "view") -> Strategy:
    """One strategy; absent and not-yours are the same `NotFound`."""
    row = list_(principal).filter(uuid=uuid).first()
    if row is None:
        raise NotFound("There is no such strategy.")
    access.require(principal, verb, row.client_id)
    return row


def versions(strategy: Strategy) -> QuerySet[StrategyVersion]:
    """What the strategy said before, newest first."""
    rows: QuerySet[StrategyVersion] = StrategyVersion.objects.of(strategy.client_id).filter(strategy=strategy)
    return rows.order_by("-version")


def check(data: Mapping[str, Any], *, kept: Any = None) -> dict[str, Any]:
    """The checked, stored form of name, type, status, and of rules and actions or a document. Raises `BadRules` naming
    every mistake. A document that is `kept` as it is stored is not asked again whether it makes sense: what was
    saved before a check existed can still be renamed and switched off."""
    errors: list[tuple[str, str]] = []
    name, type_, status = (data.get(key) for key in ("name", "type", "status"))
    document = data.get("document")
    if type_ is None and document is not None:
        type_ = StrategyType.CUSTOM.value
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or "\x00" in name:
        errors.append(("name", "must be a text of 1 to 200 characters"))
    if type_ not in StrategyType.values:
        errors.append(("type", f"must be one of {', '.join(StrategyType.values)}"))
    status = status or StrategyStatus.ACTIVE.value
    if status not in STATUSES:
        errors.append(("status", f"must be one of {', '.join(STATUSES)}"))
    found, mistakes = (
        _own_rules(data, kept) if type_ == StrategyType.CUSTOM else _briefs_rules(data, str(type_))
    )
    errors += mistakes
    if errors:
        raise BadRules("This strategy cannot be used.", errors=errors)
    return {"name": str(name).strip(), "type": str(type_), "status": str(status), **found}


def _briefs_rules(data: Mapping[str, Any], type_: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    thresholds, errors = read_thresholds(data.get("rules", {}))
    actions, more = read_actions(data.get("actions"), type_=type_)
    if data.get("document") is not None:
        more.append(("document", f"goes with the type {StrategyType.CUSTOM.value}"))
    found = {"rules": thresholds_json(thresholds), "actions": actions_json(actions), "document": None}
    return found, errors + more


def _own_rules(data: Mapping[str, Any], kept: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    errors = [
        (key, "goes with the brief's types; own rules are in document")
        for key in ("rules", "actions")
        if data.get(key)
    ]
    try:
        document = documents.read(data.get("document"))
    except BadRules as bad:
        return {}, errors + list(bad.errors)
    stored = documents.stored(document)
    for one in examine(document) if stored != kept else ():
        if one.severity == REFUSE:
            errors.append((f"document.{one.path}", f"{one.sentence} {one.suggestion}"))
    return {"rules": {}, "actions": {}, "document": stored}, errors


def unsaved(*, ad_account: AdAccount, data: Mapping[str, Any], now: datetime) -> Strategy:
    """A strategy that is only looked at (a dry run of a draft), never stored."""
    fields = check(data)
    return Strategy(client=ad_account.client, ad_account=ad_account, created_at=now, updated_at=now, **fields)


def create(
    *, principal: Principal, ad_account: AdAccount, data: Mapping[str, Any], now: datetime
) -> Strategy:
    """Save a new strategy of this ad account. Raises `BadRules`, or `Conflict` for a name that is taken there."""
    access.require(principal, "edit_strategy", ad_account.client_id)
    row = unsaved(ad_account=ad_account, data=data, now=now)
    row.created_by_id = principal.user_id
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            _keep_version(row, principal, now)
            record(
                principal=principal,
                client=ad_account.client,
                verb="strategy_created",
                subject=str(row.uuid),
                now=now,
                name=row.name,
            )
    except IntegrityError:
        raise _taken(row.name) from None
    return row


def edit(*, strategy: Strategy, principal: Principal, data: Mapping[str, Any], now: datetime) -> Strategy:
    """Change what is given, keep the rest. New rules, actions or type make a new version and withdraw what the
    old one has open; so does switching it off."""
    access.require(principal, "edit_strategy", strategy.client_id)
    unknown = set(data) - set(_EDITABLE)
    if unknown:
        raise BadRules(
            "This cannot be edited.", errors=[(key, "cannot be edited") for key in sorted(unknown)]
        )
    before = {key: getattr(strategy, key) for key in _EDITABLE}
    given = dict(data)
    if given.get("type", strategy.type) != strategy.type and StrategyType.CUSTOM in (
        given["type"],
        strategy.type,
    ):
        # Between own rules and the brief's nothing is taken over.
        before |= {"rules": {}, "actions": {}, "document": None}
    for part in (
        "rules",
        "actions",
    ):  # a part that is given is merged, so that one threshold can be edited alone
        if isinstance(given.get(part), Mapping):
            given[part] = {**before[part], **given[part]}
    fields = check({**before, **given}, kept=strategy.document)
    versioned = any(fields[key] != before[key] for key in _VERSIONED)
    try:
        with transaction.atomic():
            rows = Strategy.objects.of(strategy.client_id).filter(pk=strategy.pk, version=strategy.version)
            fields |= {"version": strategy.version + int(versioned), "updated_at": now}
            if not rows.update(**fields):
                raise Conflict("Somebody else edited this strategy a moment ago.")
            strategy.refresh_from_db()
            if versioned:
                _keep_version(strategy, principal, now)
            record(
                principal=principal,
                client=strategy.client,
                verb="strategy_edited",
                subject=str(strategy.uuid),
                now=now,
                version=strategy.version,
            )
    except IntegrityError:
        raise _taken(fields["name"]) from None
    if versioned or strategy.status != StrategyStatus.ACTIVE:
        reason = "The strategy was edited." if versioned else f"The strategy is {strategy.status}."
        _withdraw_open(strategy, reason, now)
    return strategy


def to_stage(*, strategy: Strategy, principal: Principal, stage: str, now: datetime) -> Strategy:
    """Move a strategy along the ladder: down at once, with what it has open withdrawn; up only when its card is full,
    by somebody who may approve what it will propose. Raises `BadRules`, `Conflict`, `Forbidden`."""
    access.require(principal, "edit_strategy", strategy.client_id)
    if stage not in Stage.values:
        words = f"must be one of {', '.join(Stage.values)}"
        raise BadRules("There is no such stage.", errors=[("stage", words)])
    before = Stage(strategy.stage)
    if stage == before:
        return strategy
    up = ladder.ORDER.index(Stage(stage)) > ladder.ORDER.index(before)
    if up:
        access.require(principal, "approve", strategy.client_id)
        card = ladder.card(strategy, now=now)
        if not card.full:
            raise Conflict(
                "The strategy has not shown enough for that stage.",
                code="stage_not_earned",
                advice=f"Missing: {'; '.join(card.missing)}.",
            )
    with transaction.atomic():
        rows = Strategy.objects.of(strategy.client_id).filter(
            pk=strategy.pk, stage=before, version=strategy.version
        )
        if not rows.update(stage=stage, stage_since=now, updated_at=now):
            raise Conflict("Somebody else edited this strategy a moment ago.")
        record(
            principal=principal,
            client=strategy.client,
            verb="strategy_stage",
            subject=str(strategy.uuid),
            now=now,
            before=before.value,
            stage=stage,
        )
    strategy.refresh_from_db()
    if not up:
        _withdraw_open(strategy, "The strategy was taken back into the shadow.", now)
    return strategy


def _taken(name: str) -> Conflict:
    return Conflict(
        f"This ad account has a strategy called {name!r} already.",
        code="name_taken",
        advice="Take another name.",
    )


def _keep_version(strategy: Strategy, principal: Principal, now: datetime) -> None:
    StrategyVersion.everything.create(
        client_id=strategy.client_id,
        strategy=strategy,
        version=strategy.version,
        type=strategy.type,
        rules=strategy.rules,
        actions=strategy.actions,
        document=documents.stored(documents.of(strategy)),
        created_by_id=principal.user_id,
        created_at=now,
    )


def _withdraw_open(strategy: Strategy, reason: str, now: datetime) -> None:
    rows = Proposal.objects.of(strategy.client_id).filter(strategy=strategy, state=ProposalState.OPEN)
    for row in rows.select_related("change", "strategy", "client"):
        proposals.withdraw(proposal=row, reason=reason, now=now)
    notices.withdraw(strategy=strategy, now=now)
    approvals.recall(client_id=strategy.client_id, strategy_ref=str(strategy.uuid), reason=reason, now=now)


# --- drafts


def regenerate(*, ad_account: AdAccount, now: datetime) -> list[Draft]:
    """Generate the account's drafts anew from its last seven full days; the ones before are not current any more."""
    snapshot = snapshots.build(ad_account=ad_account, now=now)
    fresh = [
        Draft(
            client_id=ad_account.client_id,
            ad_account=ad_account,
            name=idea.name,
            type=idea.type,
            rules=thresholds_json(idea.thresholds),
            actions=actions_json(idea.actions),
            evidence=list(idea.evidence),
            data_version=snapshot.data_version,
            created_at=now,
        )
        for idea in generate(snapshot, now=now)
    ]
    with transaction.atomic():
        Draft.objects.of(ad_account.client_id).filter(ad_account=ad_account, current=True).update(
            current=False
        )
        for draft in fresh:
            draft.save(force_insert=True)
    return fresh


def latest(*, ad_account: AdAccount) -> list[Draft]:
    """The drafts of the latest generation; the caller got `ad_account` from `accounts.access`."""
    rows = Draft.objects.of(ad_account.client_id).filter(ad_account=ad_account, current=True)
    return list(rows.order_by("pk"))


def draft(principal: Principal, uuid: str, *, verb: str = "view") -> Draft:
    row: Draft | None = (
        Draft.objects.for_(principal)
        .select_related("ad_account__client", "strategy")
        .filter(uuid=uuid)
        .first()
    )
    if row is None:
        raise NotFound("There is no such draft.")
    access.require(principal, verb, row.client_id)
    return row


def draft_data(row: Draft) -> dict[str, Any]:
    return {
        "name": row.name, "type": row.type, "rules": row.rules, "actions": row.actions, "document": row.document
    }  # fmt: skip


def save_draft(*, draft: Draft, principal: Principal, now: datetime) -> Strategy:
    """Make the draft a strategy of its account, once: a draft that was saved gives its strategy again."""
    if draft.strategy is not None:
        access.require(principal, "edit_strategy", draft.client_id)
        return draft.strategy
    data = draft_data(draft)
    names = set(
        Strategy.objects.of(draft.client_id)
        .filter(ad_account=draft.ad_account)
        .values_list("name", flat=True)
    )
    base, number = data["name"], 2
    while data["name"] in names:
        data["name"], number = f"{base} {number}", number + 1
    strategy = create(principal=principal, ad_account=draft.ad_account, data=data, now=now)
    Draft.objects.of(draft.client_id).filter(pk=draft.pk).update(strategy=strategy)
    draft.strategy = strategy
    return strategy
