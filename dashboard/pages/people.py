"""Who works for which client and as what, who is invited, what each role may do; for owners also clients and policies.

owner      every client, the owners, closed accounts, clients, what roles must have
manager    the people and invitations of their clients
others     their own roles, and what these may do
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse

import accounts.access as access
import accounts.clients as agency
import accounts.invitations as invitations
import accounts.people as people
import accounts.policies as policies
from accounts.models import Client, Invitation, Role
from accounts.people import Member
from accounts.tenancy import Principal
from dashboard.pages.frame import Context, Part, asked_client, clients, page, principal, show
from metaads.clock import now

#: What a manager may give, strongest first.
_BELOW_OWNER = [role for role in Role if role != Role.OWNER]


@dataclass(frozen=True)
class Open:
    """An invitation that nobody has answered."""

    row: Invitation
    sent_at: datetime
    expired: bool


@dataclass(frozen=True)
class Team:
    """One client's people, and who was invited; `client` None: the owners."""

    client: Client | None
    members: tuple[Member, ...]
    invited: tuple[Open, ...]
    may_act_as: bool


@page
def listing(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    here = asked_client(request)
    own_roles = {role for _, role in who.roles}
    context: Context = {
        "abilities": [
            (words, sorted(cells, key=lambda cell: cell[0] not in own_roles))
            for words, cells in access.roles_in_words()
        ],
        "role_labels": sorted(((role, role.label) for role in Role), key=lambda one: one[0] not in own_roles),
        "own_roles": own_roles,
        "own": [(Role(role).label, names) for role, names in _own(who)],
        "manages": _managed(who, here) or who.everywhere,
        "owns": who.everywhere,
        "may_act_as": any(access.may(who, "act_as", row) for row in clients(who)),
    }
    parts = {"teams": Part("dashboard/parts/teams.html", lambda: _teams(who, here))}
    if who.everywhere:
        parts["owned"] = Part("dashboard/parts/owned.html", lambda: _owned(who))
    return show(request, "dashboard/people.html", section="people", client=here, context=context, parts=parts)


def _managed(who: Principal, here: Client | None) -> list[Client]:
    """Clients whose people the principal manages: the one asked for, else all of them."""
    return [row for row in ([here] if here else clients(who)) if access.may(who, "manage_people", row)]


def _teams(who: Principal, here: Client | None) -> Context:
    managed = _managed(who, here)
    seen = [row for row in ([here] if here else clients(who)) if access.may(who, "act_as", row)]
    teams = [_team(who, row) for row in managed]
    if who.everywhere and here is None:
        teams.insert(0, _team(who, None))
    return {
        "teams": teams,
        "lookable": [row for row in seen if row not in managed],
        "roles": [(role.value, role.label) for role in _BELOW_OWNER],
        "owner": Role.OWNER.value,
        "may_close": who.everywhere,
        "me": who.user_id,
    }


def _team(who: Principal, client: Client | None) -> Team:
    moment = now()
    return Team(
        client=client,
        members=tuple(people.members(who, client=client)),
        invited=tuple(
            Open(row, invitations.sent_at(row), row.expires_at <= moment)
            for row in invitations.listing(who, client=client)
        ),
        may_act_as=client is not None and access.may(who, "act_as", client),
    )


def _owned(who: Principal) -> Context:
    return {
        "policies": policies.listing(),
        "all_clients": clients(who),
        "archived": agency.archived(who),
    }


def _own(who: Principal) -> list[tuple[str, str]]:
    """(role, where) of the person who looks."""
    names = {row.pk: row.name for row in clients(who)}
    found: dict[str, list[str]] = {}
    for client_id, role in who.roles:
        if client_id is None:
            found[role] = ["all clients"]
        elif client_id in names:
            found.setdefault(role, []).append(names[client_id])
    return [(role, ", ".join(sorted(at))) for role, at in found.items()]
