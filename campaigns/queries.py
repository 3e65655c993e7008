"""Reading the tree: what a principal may see, and the whole structure for callers that hold an ad account."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Max, QuerySet

from accounts.access import require
from accounts.errors import NotFound
from accounts.models import AdAccount
from accounts.tenancy import Principal
from campaigns.models import Ad, AdSet, Campaign, Change, LedgerLine
from campaigns.states import ChangeState, Field, Level

#: Any: the three have different relations to join.
MODELS: dict[Level, type[Any]] = {Level.CAMPAIGN: Campaign, Level.AD_SET: AdSet, Level.AD: Ad}


@dataclass(frozen=True)
class ObjectRow:
    """One object of an account's tree. Budgets in major units of the account's currency; `parent_id` is the
    object
    above ("" for a campaign), `campaign_id` the campaign (its own for a campaign), `objective` that campaign's."""

    level: Level
    meta_id: str
    parent_id: str
    name: str
    status: str
    effective_status: str
    daily_budget: Decimal | None
    lifetime_budget: Decimal | None
    learning_stage: str
    start: datetime | None
    end: datetime | None
    campaign_id: str = ""
    objective: str = ""
    bid_strategy: str = ""
    bid_amount: Decimal | None = None
    created: datetime | None = None


def campaigns(
    principal: Principal, *, ad_account: AdAccount, include_removed: bool = False
) -> QuerySet[Campaign]:
    """Campaigns of an ad account, by name."""
    rows = Campaign.objects.for_(principal).filter(ad_account=ad_account)
    return _present(rows, include_removed).order_by("name", "meta_id")


def ad_sets(principal: Principal, *, campaign: Campaign, include_removed: bool = False) -> QuerySet[AdSet]:
    rows = AdSet.objects.for_(principal).filter(campaign=campaign).select_related("campaign")
    return _present(rows, include_removed).order_by("name", "meta_id")


def ads(principal: Principal, *, ad_set: AdSet, include_removed: bool = False) -> QuerySet[Ad]:
    rows = Ad.objects.for_(principal).filter(ad_set=ad_set).select_related("ad_set", "campaign", "creative")
    return _present(rows, include_removed).order_by("name", "meta_id")


def names(
    principal: Principal, *, ad_account: AdAccount, level: str, meta_ids: Iterable[str]
) -> dict[str, str]:
    """What objects of one level are called, by Meta id; removed ones too."""
    rows = MODELS[Level(level)].objects.for_(principal).filter(ad_account=ad_account)
    return dict(rows.filter(meta_id__in=list(meta_ids)).values_list("meta_id", "name"))


def campaign(principal: Principal, meta_id: str, verb: str = "view") -> Campaign:
    """The campaign, if it is the principal's to see; `NotFound` else, `Forbidden` when the role may not
    `verb`."""
    found: Campaign = _one(principal, Level.CAMPAIGN, meta_id, verb)
    return found


def ad_set(principal: Principal, meta_id: str, verb: str = "view") -> AdSet:
    found: AdSet = _one(principal, Level.AD_SET, meta_id, verb)
    return found


def ad(principal: Principal, meta_id: str, verb: str = "view") -> Ad:
    found: Ad = _one(principal, Level.AD, meta_id, verb)
    return found


def find(principal: Principal, meta_id: str, verb: str = "view") -> Campaign | AdSet | Ad:
    """The object with that Meta id at whichever level it is."""
    for level in Level:
        try:
            found: Campaign | AdSet | Ad = _one(principal, level, meta_id, verb)
            return found
        except NotFound:
            continue
    raise NotFound("There is no such object.")


def budget_owner(obj: Campaign | AdSet | Ad) -> tuple[Level, Campaign | AdSet] | None:
    """Who owns the budget that `obj` spends: its campaign (Advantage campaign budget) or its ad set.

    None for a campaign whose ad sets own it, and where no budget is known (an unlisted currency).
    """
    chain: tuple[Campaign | AdSet, ...]
    if isinstance(obj, Campaign):
        chain = (obj,)
    elif isinstance(obj, AdSet):
        chain = (obj.campaign, obj)
    else:
        chain = (obj.campaign, obj.ad_set)
    for owner in chain:
        if owner.daily_budget or owner.lifetime_budget:
            return owner.level, owner
    return None


def structure(
    *, ad_account: AdAccount, include_removed: bool = False, levels: Iterable[Level] = tuple(Level)
) -> list[ObjectRow]:
    """The account's tree (of these levels), campaigns first, then ad sets, then ads; for callers that got the account
    from `access`."""
    rows: list[ObjectRow] = []
    wanted = frozenset(levels)
    for level, model in MODELS.items():
        if level not in wanted:
            continue
        found = _present(
            model.objects.of(ad_account.client_id).filter(ad_account=ad_account), include_removed
        )
        if level is Level.AD_SET:
            found = found.select_related("campaign")
        elif level is Level.AD:
            found = found.select_related("ad_set", "campaign")
        rows.extend(_row(obj) for obj in found.order_by("meta_id"))
    return rows


def inside(*, ad_account: AdAccount, meta_id: str) -> dict[str, str]:
    """Which columns of the rows of ads say that they are inside this campaign or ad set, and what they hold; nothing
    for an object that is not known. Removed ones too; for callers that got the account from `access`."""
    same = {"ad_account": ad_account, "meta_id": meta_id}
    if Campaign.objects.of(ad_account.client_id).filter(**same).exists():
        return {"campaign_id": meta_id}
    ad_sets = AdSet.objects.of(ad_account.client_id).filter(**same)
    above = ad_sets.values_list("campaign__meta_id", flat=True).first()
    return {"campaign_id": above, "adset_id": meta_id} if above is not None else {}


def paused_by(*, ad_account: AdAccount, strategy_ref: str) -> dict[str, datetime]:
    """Object id -> when this strategy paused it, for objects that are paused and that nobody switched since: neither
    through us nor, as far as Meta's log tells, outside. For callers that got the account from `access`."""
    mine = {"ad_account": ad_account, "field": Field.STATUS.value}
    done = Change.objects.of(ad_account.client_id).filter(**mine, state=ChangeState.APPLIED.value)
    found: dict[str, datetime] = {}
    for object_id, target, ref, applied in done.order_by("applied_at", "pk").values_list(
        "object_id", "target", "strategy_ref", "applied_at"
    ):
        found.pop(object_id, None)
        if target == "PAUSED" and ref == strategy_ref and applied is not None:
            found[object_id] = applied
    if not found:
        return {}
    edits = LedgerLine.objects.of(ad_account.client_id).filter(
        **mine, kind="edit", object_id__in=found, at__gt=min(found.values())
    )
    for object_id, at in edits.values_list("object_id", "at"):
        if object_id in found and at > found[object_id]:
            del found[object_id]
    paused: set[str] = set()
    for model in MODELS.values():
        rows = model.objects.of(ad_account.client_id).filter(ad_account=ad_account, meta_id__in=found)
        paused.update(rows.filter(status="PAUSED", removed_at__isnull=True).values_list("meta_id", flat=True))
    return {object_id: at for object_id, at in found.items() if object_id in paused}


def started(*, ad_account: AdAccount, object_ids: Collection[str]) -> dict[str, datetime]:
    """Object id -> when it was last set active, through us or, as far as Meta's log tells, outside. For callers that
    got the account from `access`."""
    mine = {"ad_account": ad_account, "field": Field.STATUS.value, "object_id__in": list(object_ids)}
    ours = Change.objects.of(ad_account.client_id).filter(
        **mine, target="ACTIVE", state=ChangeState.APPLIED.value
    )
    edits = LedgerLine.objects.of(ad_account.client_id).filter(**mine, kind="edit", after="ACTIVE")
    found: dict[str, datetime] = {}
    for rows, column in ((ours, "applied_at"), (edits, "at")):
        for one, at in rows.values_list("object_id").annotate(last=Max(column)).order_by("object_id"):
            if at is not None:
                found[one] = max(at, found.get(one, at))
    return found


def running(*, ad_account: AdAccount, level: str) -> int:
    """How many objects of a level may be delivering now; for callers that got the account from `access`."""
    if level not in MODELS:
        return 1
    rows = MODELS[Level(level)].objects.of(ad_account.client_id).filter(ad_account=ad_account)
    return int(rows.filter(removed_at__isnull=True, effective_status="ACTIVE").count())


def goals(*, ad_account: AdAccount) -> dict[str, tuple[str, str, str]]:
    """Ad set id -> optimisation goal, event of its pixel, objective of its campaign; removed ones too, since their rows
    stay. For callers that got the account from `access`."""
    rows = AdSet.objects.of(ad_account.client_id).filter(ad_account=ad_account)
    found = rows.values_list("meta_id", "optimization_goal", "conversion_event", "campaign__objective")
    return {meta_id: (goal, event, objective) for meta_id, goal, event, objective in found}


def stored(*, ad_account: AdAccount, level: Level, object_id: str) -> Campaign | AdSet | Ad | None:
    """The stored object of that account and level, removed ones too; trusted callers only."""
    rows = MODELS[level].objects.of(ad_account.client_id).filter(ad_account=ad_account, meta_id=object_id)
    if level is not Level.CAMPAIGN:
        rows = rows.select_related("campaign")
    found: Campaign | AdSet | Ad | None = rows.first()
    return found


def _row(obj: Any) -> ObjectRow:
    parent = (
        obj.ad_set.meta_id
        if obj.level is Level.AD
        else obj.campaign.meta_id
        if obj.level is Level.AD_SET
        else ""
    )
    campaign = obj if obj.level is Level.CAMPAIGN else obj.campaign
    return ObjectRow(
        level=obj.level,
        meta_id=obj.meta_id,
        parent_id=parent,
        name=obj.name,
        status=obj.status,
        effective_status=obj.effective_status,
        daily_budget=obj.daily_budget,
        lifetime_budget=obj.lifetime_budget,
        learning_stage=obj.learning_stage,
        start=None if obj.level is Level.AD else obj.start_time,
        end=None if obj.level is Level.AD else obj.end_time,
        campaign_id=campaign.meta_id,
        objective=campaign.objective,
        bid_strategy="" if obj.level is Level.AD else obj.bid_strategy or campaign.bid_strategy,
        bid_amount=obj.bid_amount if obj.level is Level.AD_SET else None,
        created=obj.created_time,
    )


def _present(rows: QuerySet[Any], include_removed: bool) -> QuerySet[Any]:
    return rows if include_removed else rows.filter(removed_at__isnull=True)


def _one(principal: Principal, level: Level, meta_id: str, verb: str) -> Any:
    rows = MODELS[level].objects.for_(principal).filter(meta_id=meta_id).select_related("ad_account__client")
    if level is Level.AD_SET:
        rows = rows.select_related("campaign")
    elif level is Level.AD:
        rows = rows.select_related("campaign", "ad_set", "creative")
    found = rows.first()
    if found is None:
        raise NotFound(f"There is no such {level.words}.")
    require(principal, verb, found.client_id)
    return found
