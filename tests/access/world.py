"""Two clients side by side, each with a row of every kind, kept for a whole module; each cell is rolled back.

Northwind's rows come from the product's own functions. Southwind's are planted: one row in every tenant's table,
found by introspection, with a marker in every text column that no constraint speaks about.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core import signing
from django.db import models, transaction

from tests.conftest import PASSWORD, START, connect_northwind, found_agency, sync_northwind

#: Planted in every text column of Southwind's rows, and in its people's and its own name. Lower case: it is a
#: slug and an e-mail address, too.
MARKER = "zq7southmark"
#: Southwind's ids at Meta begin like this; none of the sandbox's does.
META = "77100345"
FLOORS = ("accounts", "campaigns", "insights", "strategies")

ASKS = {
    "name": "Stop what costs too much",
    "type": "performance_optimization",
    "status": "active",
    "rules": {"minCtr": 50, "maxCpc": 20},
    "actions": {
        "pauseLowPerforming": True,
        "increaseBudget": False,
        "adjustBidding": False,
        "expandAudience": False,
    },
}


@contextmanager
def rolled_back() -> Iterator[None]:
    """A savepoint that never stays. Durable blocks are allowed inside, as in Django's own TestCase."""
    atomic = transaction.atomic()
    atomic._from_testcase = True
    with atomic:
        try:
            yield
        finally:
            transaction.set_rollback(True)


@contextmanager
def estate() -> Iterator[Any]:
    """Both clients, furnished, inside a transaction that is rolled back."""
    from metaads.clock import using
    from metaads.gateway import plugged
    from metaads.sandbox.app import Sandbox
    from metaads.sandbox.clock import ManualClock
    from tests.door import WSGIAdapter

    with ExitStack() as stack:
        clock = ManualClock(START)
        stack.enter_context(using(clock.now))
        box = Sandbox(world="tiny", seed=7, clock=clock)
        stack.enter_context(plugged(WSGIAdapter(box)))
        stack.enter_context(rolled_back())
        agency = found_agency()
        agency.clock, agency.sandbox = clock, box
        _hire(agency)
        sync_northwind(connect_northwind(agency, box, clock), clock)
        agency.ids = _furnish(agency, clock.now())
        agency.planted = plant_everywhere(agency, clock.now())
        agency.theirs = _ids_of_southwind(agency)
        yield agency


def _hire(agency: Any) -> None:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    from accounts.access import principal_of
    from accounts.models import Membership, Role, User
    from accounts.policies import require_mfa

    people = {
        "mandy": (Role.MANAGER, agency.northwind, True),
        "anna": (Role.ANALYST, agency.northwind, True),
        "dora": (Role.BUYER, agency.northwind, True),
        "nora": (Role.ANALYST, agency.northwind, True),
        "sue": (Role.VIEWER, agency.southwind, False),
    }
    for name, (role, client, staff) in people.items():
        user = User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title(), is_staff=staff)
        Membership.objects.create(user=user, client=client, role=role)
        setattr(agency.users, name, user)
        setattr(agency.principals, name, principal_of(user))
    # Analysts must have a second factor: Anna has one, Nora has none.
    require_mfa(role=Role.ANALYST, required=True, principal=agency.principals.alice, now=agency.clock.now())
    TOTP.activate(agency.users.anna, generate_totp_secret())


def _furnish(agency: Any, now: datetime) -> dict[str, str]:
    """Northwind's objects, by the names that the matrix uses."""
    from accounts.alerts import open_
    from accounts.links import address, invite, link
    from accounts.models import MetaConnection
    from campaigns.changes.batches import sheet
    from campaigns.changes.request import file
    from campaigns.models import Ad, AdSet, Campaign, Change, Hold
    from campaigns.states import Field, Level, Source
    from insights.formulas import save
    from strategies import backtests
    from strategies.cycle import run
    from strategies.drafts import create, regenerate
    from strategies.models import Backtest, Proposal

    account, client = agency.ad_account, agency.northwind

    def wanted(row: Any, key: str) -> Change:
        return file(
            principal=agency.principals.ivan, ad_account=account, level=row.level, object_id=row.meta_id,
            field=Field.STATUS, target="PAUSED", reason="sold out", source=Source.PERSON, key=key, evidence=None,
            now=now,
        )  # fmt: skip

    strategy = create(ad_account=account, principal=agency.principals.bob, data=ASKS, now=now)
    run(strategy=strategy, now=now)
    proposal = Proposal.objects.of(client).filter(change__isnull=False).order_by("pk").first()
    asked = set(Change.objects.of(client).values_list("object_id", flat=True))
    running = [
        row
        for model in (Ad, AdSet, Campaign)
        for row in model.objects.of(client).filter(status="ACTIVE").order_by("meta_id")
        if row.meta_id not in asked
    ]
    assert len(running) >= 3, "the tiny world has too few running objects for this module"
    waiting, applied, stuck = (wanted(row, f"access:{n}") for n, row in enumerate(running[:3]))
    type(running[1]).everything.filter(pk=running[1].pk).update(status="PAUSED")
    Change.everything.filter(pk=applied.pk).update(state="APPLIED", applied_at=now)
    Change.everything.filter(pk=stuck.pk).update(state="NEEDS_HUMAN")
    batch, done = str(UUID(int=0xBA << 8 | 4 << 76 | 8 << 60)), str(UUID(int=0xBB << 8 | 4 << 76 | 8 << 60))
    Change.everything.filter(pk=waiting.pk).update(batch=batch)
    Change.everything.filter(pk=applied.pk).update(batch=done)
    campaign = Campaign.objects.of(client).get(name="Teapots - Sales")
    ad_set = AdSet.objects.of(client).get(name="Tea lovers")
    hold = Hold.everything.create(
        client=client, ad_account=account, level=Level.CAMPAIGN, object_id=campaign.meta_id, field="daily_budget",
        ours="1", theirs="2", reason="changed outside", held_at=now, until=now + timedelta(days=1),
    )  # fmt: skip
    draft = regenerate(ad_account=account, now=now)[0]
    backtest = backtests.request(
        strategy=strategy, principal=agency.principals.bob, now=now,
        wish=backtests.read_wish({}, ad_account=account, now=now),
    )  # fmt: skip
    Backtest.everything.filter(pk=backtest.pk).update(state="done", result={"firings": []})
    open_(
        client=client,
        key="access:one",
        title="Delivery has stopped",
        advice="Look.",
        severity="warning",
        now=now,
    )
    asked = {"client": client, "principal": agency.principals.alice, "user": agency.users.alice, "now": now}
    own, guests = link(**asked), invite(**asked, email="guest@example.com")
    save(client=client, principal=agency.principals.bob, user=agency.users.bob, name="blended", label="Blended",
         expression="spend / clicks", now=now)  # fmt: skip
    return {
        "account": account.act_id,
        "campaign": campaign.meta_id,
        "adset": ad_set.meta_id,
        "ad": Ad.objects.of(client).filter(ad_set=ad_set).first().meta_id,
        "change": str(waiting.uuid),
        "digest": waiting.digest,
        "applied": str(applied.uuid),
        "stuck": str(stuck.uuid),
        "batch": batch,
        "batch_digest": sheet(agency.principals.alice, batch).digest,
        "done_batch": done,
        "strategy": str(strategy.uuid),
        "proposal": str(proposal.uuid),
        "decision": str(proposal.decision.uuid),
        "proposal_digest": proposal.digest,
        "draft": str(draft.uuid),
        "backtest": str(backtest.uuid),
        "hold": str(hold.uuid),
        "link": address(own).rstrip("/").rpartition("/")[2],
        "guest_link": address(guests).rstrip("/").rpartition("/")[2],
        "guest_link_id": str(guests.uuid),
        "token": agency.sandbox.token("alice"),
        "connection": str(MetaConnection.objects.of(client).get().uuid),
        "client": client.slug,
        **_people_and_clients(agency, now),
    }


def _people_and_clients(agency: Any, now: datetime) -> dict[str, str]:
    """Whom and what owners and managers act upon: nobody who is a principal of the matrix."""
    import accounts.clients as clients
    from accounts.invitations import invite
    from accounts.people import add

    alice = agency.principals.alice
    olga = add(
        email="olga@example.com",
        name="Olga",
        password=PASSWORD,
        client=None,
        role="owner",
        principal=alice,
        now=now,
    )
    invited = invite(
        email="guest@example.com", client=agency.northwind, role="buyer", principal=alice, now=now
    )
    idle, old = (clients.create(name=name, principal=alice, now=now) for name in ("Eastwind", "Oldwind"))
    clients.archive(client=old, principal=alice, now=now)
    return {
        "person": str(agency.users.vera.uuid),
        "second_owner": str(olga.uuid),
        "invitation": str(invited.uuid),
        "idle_client": idle.slug,
        "archived_client": str(old.uuid),
    }


def grant_for(agency: Any, *, session_key: str) -> str:
    """Alice has come back from Meta's dialog in this session and has not confirmed yet."""
    from accounts.models import MetaConnection, PendingGrant

    known = MetaConnection.objects.of(agency.northwind).get()
    grant = PendingGrant.everything.create(
        client=agency.northwind, user=agency.users.alice, session_key=session_key, token=agency.sandbox.token("alice"),
        meta_user_id=known.meta_user_id, expires_at=agency.clock.now() + timedelta(minutes=10),
    )  # fmt: skip
    return str(grant.uuid)


def lost(ids: dict[str, str]) -> dict[str, str]:
    """Ids of the same shapes that are nobody's; what the caller makes up itself (digests) stays."""
    strange = {}
    for number, (name, value) in enumerate(ids.items()):
        if name in ("digest", "batch_digest", "proposal_digest"):
            strange[name] = value
        elif name == "link":  # well signed, for a row that is not there
            strange[name] = signing.Signer(salt="accounts.connect-link").sign_object(str(UUID(int=5)))
        elif len(value) == 36:
            strange[name] = str(UUID(int=(4 << 76) | (8 << 60) | (number + 1)))
        elif value.startswith("act_"):
            strange[name] = "act_999999999999999"
        elif value.isdigit():
            strange[name] = f"99999999999999{number:02}"
        else:
            strange[name] = "no-such-thing"
    return strange


# --- Southwind: one row in every tenant's table


def tenant_models() -> list[type[models.Model]]:
    """Every table whose rows belong to a client, in an order in which they can be made."""
    from accounts.tenancy import AccountFacts, Tenant

    own = [model for floor in FLOORS for model in apps.get_app_config(floor).get_models()]
    return [model for model in own if issubclass(model, Tenant | AccountFacts)]


#: What a constraint, a trigger or a page's vocabulary asks for, by model and column; everything else is made up.
GIVEN: dict[str, dict[str, Any]] = {
    "Envelope": {"scope": "client", "scope_key": "client:0:EUR", "period": "day", "currency": "EUR"},
    "Invitation": {
        "role": "viewer", "accepted_at": None, "withdrawn_at": None, "expires_at": START + timedelta(days=7),
    },
    "MetaConnection": {"held": False, "expires_at": START + timedelta(days=40)},
    "AdAccount": {"currency": "USD", "timezone_name": "UTC", "enabled_at": START, "archived_at": None},
    "GrantedAsset": {"gone_at": None},
    "OutboxMessage": {"sent_at": None, "given_up_at": None, "due_at": START + timedelta(days=365)},
    "Change": {
        "field": "status", "before": "ACTIVE", "target": "PAUSED", "state": "PROPOSED", "level": "campaign",
        "undo_of": None, "currency": "USD", "expires_at": START + timedelta(days=1),
    },
    "LedgerLine": {"kind": "edit", "level": "campaign", "state": "", "change": None, "currency": "USD"},
    "Attempt": {"field": "status", "n": 1},
    "Observation": {"phase": "prepare"},
    "Switch": {"scope": "client", "released_at": None},
    "Hold": {"field": "status", "level": "campaign", "resumed_at": None, "until": START + timedelta(days=1)},
    "Proposal": {
        "state": "open", "currency": "USD", "action": "pause", "field": "status", "before": "ACTIVE",
        "target": "PAUSED", "level": "campaign", "expires_at": START + timedelta(days=1), "evidence": {},
    },
    "Strategy": {"type": "performance_optimization", "rules": {}, "actions": {}},
    "StrategyVersion": {
        "type": "performance_optimization", "rules": {}, "actions": {}, "version": 1,
        "document": {"level": "adset", "cases": []},
    },
    "Draft": {"type": "performance_optimization", "rules": {}, "actions": {}, "evidence": [MARKER], "strategy": None},
    "Decision": {
        "level": "campaign", "verdict": "not_met", "trust": "ready", "strategy_version": 1,
        "record": {
            "cases": [], "blocks": [],
            "snapshot": {
                "currency": "USD", "minor_unit": "0.01", "zone": "UTC", "trust_reasons": [], "looks": {}, "targets": {},
            },
            "subject": {
                "level": "campaign", "object_id": "1", "name": MARKER, "parent_id": None, "status": "ACTIVE",
                "effective_status": "ACTIVE", "daily_budget": "5", "lifetime_budget": None, "owns_budget": True,
                "learning_stage": None, "start": None, "end": None, "values": {}, "campaign_id": None, "objective": "",
                "bid_strategy": "", "bid_amount": None, "created": None, "paused_at": None, "pause_ends": None,
                "around": {}, "places": {}, "shares": {},
            },
        },
    },
    "Backtest": {"state": "done", "hour": 6, "every_hours": 24, "document": {"cases": []}, "result": {}},
    "Alert": {"severity": "warning", "state": "firing", "closed_at": None},
    "SyncRun": {"state": "COMPLETE"},
    "Completeness": {"base": "leads", "shares": ["1"] * 29},
    "CustomMetric": {"name": "foreign", "expression": "spend / clicks"},
    "Slice": {"kind": "day", "level": "ad", "zone": "UTC"},
    "PendingGrant": {"used_at": None, "expires_at": START + timedelta(minutes=10)},
    "ConnectLink": {
        "user": None, "used_at": None, "withdrawn_at": None, "expires_at": START + timedelta(minutes=10),
    },
    "FetchRun": {"kind": "manual", "state": "done"},
}  # fmt: skip
_SHORT = {"level": "campaign", "grain": "day", "trust": "ready"}


def plant_everywhere(agency: Any, now: datetime) -> dict[str, Any]:
    """One row of each tenant's table for Southwind; by model name."""
    from accounts.models import ApiKey, Client, User

    client = agency.southwind
    Client.objects.filter(pk=client.pk).update(name=f"S {MARKER} client", slug=f"s-{MARKER}")
    client.refresh_from_db()
    for person in (agency.users.charlie, agency.users.sue):
        User.objects.filter(pk=person.pk).update(
            name=f"{person.name} {MARKER}", email=f"{MARKER}.{person.email}"
        )
        person.refresh_from_db()
    key = ApiKey.objects.create(
        user=agency.users.charlie, name=f"key {MARKER}", prefix="zq7south", digest="0" * 64
    )
    planted: dict[str, Any] = {"Client": client, "User": agency.users.charlie, "ApiKey": key}
    for model in tenant_models():
        _plant(model, planted, now)
    return planted


def _plant(model: type[models.Model], planted: dict[str, Any], now: datetime) -> Any:
    name = model.__name__
    if name not in planted:
        given = GIVEN.get(name, {})
        values = {
            field.name: given[field.name] if field.name in given else _made_up(model, field, planted, now)
            for field in model._meta.concrete_fields
            if not field.primary_key and not (field.has_default() and isinstance(field, models.UUIDField))
        }
        manager: Any = getattr(model, "everything", model._default_manager)
        try:
            with transaction.atomic():
                planted[name] = manager.create(**values)
        except Exception as error:
            raise AssertionError(
                f"No row of {name} could be planted for Southwind ({error}). "
                f"Say in tests/access/world.py GIVEN[{name!r}] what its columns need."
            ) from error
    return planted[name]


def _made_up(model: type[models.Model], field: Any, planted: dict[str, Any], now: datetime) -> Any:
    if isinstance(field, models.ForeignKey):
        other = field.related_model
        if other is model:
            return None
        return planted.get(other.__name__) or _plant(other, planted, now)
    if field.name == "ad_account_id":
        return _plant(apps.get_model("accounts", "AdAccount"), planted, now).pk
    if field.name in ("meta_id", "object_id", "campaign_id", "adset_id", "meta_user_id"):
        return f"{META}{sum(map(ord, model.__name__)):05}"
    if isinstance(field, models.JSONField):
        return {MARKER: MARKER}
    if isinstance(field, models.CharField | models.TextField):
        if field.choices:
            return field.choices[0][0]
        if field.name in _SHORT:
            return _SHORT[field.name]
        return MARKER if (field.max_length or 99) >= len(MARKER) else ""
    if isinstance(field, models.DateTimeField):
        return now
    if isinstance(field, models.DateField):
        return now.date()
    if isinstance(field, models.UUIDField):
        return None
    if isinstance(field, models.BooleanField):
        return True
    return 1


def _ids_of_southwind(agency: Any) -> dict[str, str]:
    """The same names as `agency.ids`, for what was planted."""
    planted = agency.planted
    return {
        **lost(agency.ids),
        "account": planted["AdAccount"].act_id,
        "campaign": planted["Campaign"].meta_id,
        "adset": planted["AdSet"].meta_id,
        "ad": planted["Ad"].meta_id,
        **{name: str(planted["Change"].uuid) for name in ("change", "applied", "stuck")},
        "strategy": str(planted["Strategy"].uuid),
        "proposal": str(planted["Proposal"].uuid),
        "decision": str(planted["Decision"].uuid),
        "backtest": str(planted["Backtest"].uuid),
        "hold": str(planted["Hold"].uuid),
        "connection": str(planted["MetaConnection"].uuid),
        "guest_link_id": str(planted["ConnectLink"].uuid),
        "client": planted["Client"].slug,
        "person": str(planted["User"].uuid),
        "invitation": str(planted["Invitation"].uuid),
    }
