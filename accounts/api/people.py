"""`/api/people`, `/api/invitations`, `/api/policies`, `/api/clients`: who works here, as what, and for whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import accounts.access as access
import accounts.clients as clients
import accounts.invitations as invitations
import accounts.people as people
import accounts.policies as policies
from accounts.api.base import TenantAPIView
from accounts.api.meta import CLIENT, ERRORS, KEY, WRITE_ERRORS
from accounts.errors import NotFound
from accounts.idempotency import idempotent
from accounts.models import Client, Invitation, Role
from accounts.people import Member
from metaads.clock import now

_ROLES = [role for role in Role.values if role != Role.OWNER]


class MemberShape(serializers.Serializer[Member]):
    id = serializers.UUIDField(source="user.uuid")
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    role = serializers.CharField()
    client = serializers.CharField(source="client.slug", allow_null=True, default=None)
    active = serializers.BooleanField(source="user.is_active")
    two_factor = serializers.BooleanField(
        source="mfa", help_text="An authenticator app or a passkey is set up."
    )
    two_factor_required = serializers.BooleanField(source="mfa_required")
    seen_at = serializers.DateTimeField(allow_null=True)


class MemberList(serializers.Serializer[Any]):
    people = MemberShape(many=True)


class InvitationShape(serializers.Serializer[Invitation]):
    id = serializers.UUIDField(source="uuid")
    email = serializers.EmailField()
    role = serializers.CharField()
    client = serializers.CharField(source="client.slug", allow_null=True, default=None)
    invited_by = serializers.CharField(source="invited_by.email", allow_null=True, default=None)
    sent_at = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField()
    expired = serializers.SerializerMethodField()

    def get_sent_at(self, row: Invitation) -> datetime:
        return invitations.sent_at(row)

    def get_expired(self, row: Invitation) -> bool:
        return row.expires_at <= now()


class InvitationList(serializers.Serializer[Any]):
    invitations = InvitationShape(many=True)


class ClientShape(serializers.Serializer[Client]):
    id = serializers.UUIDField(source="uuid")
    name = serializers.CharField()
    slug = serializers.CharField()
    archived_at = serializers.DateTimeField(allow_null=True)


class ClientList(serializers.Serializer[Any]):
    clients = ClientShape(many=True)


class PolicyShape(serializers.Serializer[Any]):
    role = serializers.ChoiceField(Role.values)
    two_factor_required = serializers.BooleanField()


class PolicyList(serializers.Serializer[Any]):
    policies = PolicyShape(many=True)


class AbilityShape(serializers.Serializer[Any]):
    verb = serializers.CharField()
    words = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())


class AbilityList(serializers.Serializer[Any]):
    abilities = AbilityShape(many=True)


# --- what is taken; a field that is not here changes nothing


class Place(serializers.Serializer[Any]):
    client = serializers.CharField(
        required=False, allow_null=True, max_length=60, help_text="Slug or UUID; left out or null: as owner."
    )


class RoleChange(serializers.Serializer[Any]):
    client = serializers.CharField(max_length=60)
    role = serializers.ChoiceField(_ROLES)


class NewInvitation(Place):
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(Role.values)


class ClientName(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)


class _PeopleView(TenantAPIView):
    def at(self, ref: str | None) -> Client | None:
        """The client that `ref` names, if it is the principal's to see; None for the whole installation."""
        return access.client(self.principal, ref) if ref is not None else None

    def given(self, shape: type[serializers.Serializer[Any]]) -> Any:
        body = shape(data=self.request.data)
        body.is_valid(raise_exception=True)
        return body.validated_data

    def members(self, client: Client | None) -> Response:
        return Response(MemberList({"people": people.members(self.principal, client=client)}).data)


class People(_PeopleView):
    @extend_schema(summary="People of a client", parameters=[CLIENT], responses={200: MemberList, **ERRORS})
    def get(self, request: Request) -> Response:
        """Who has which role, for owners and managers. Without `client`: the owners."""
        return self.members(self.at(request.query_params.get("client")))


class PersonRole(_PeopleView):
    @extend_schema(
        summary="Change a person's role", parameters=[KEY], request=RoleChange,
        responses={200: MemberList, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        """The new role holds from their next request."""
        data = self.given(RoleChange)
        client = access.client(self.principal, data["client"])
        row = people.find(self.principal, uuid, client=client)
        people.change_role(
            user=row.user, client=client, role=data["role"], principal=self.principal, now=now()
        )
        return self.members(client)


class RemovePerson(_PeopleView):
    @extend_schema(
        summary="Remove a person", parameters=[KEY], request=Place, responses={204: None, **WRITE_ERRORS}
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        """Ends the role at the client (without one: as owner), and every session of theirs."""
        client = self.at(self.given(Place).get("client"))
        row = people.find(self.principal, uuid, client=client)
        people.remove(user=row.user, client=client, principal=self.principal, now=now())
        return Response(status=204)


class DeactivatePerson(_PeopleView):
    @extend_schema(
        summary="Close a person's account", parameters=[KEY], request=None,
        responses={204: None, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        """Owners only: no sign-in, no key and no open session from now on."""
        user = people.person(self.principal, uuid)
        people.deactivate(user=user, principal=self.principal, now=now())
        return Response(status=204)


class ReactivatePerson(_PeopleView):
    @extend_schema(
        summary="Open a closed account", parameters=[KEY], request=None, responses={204: None, **WRITE_ERRORS}
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        """Owners only: the person may sign in again, with the roles they still have."""
        user = people.person(self.principal, uuid)
        people.reactivate(user=user, principal=self.principal, now=now())
        return Response(status=204)


class Invitations(_PeopleView):
    @extend_schema(
        operation_id="list_invitations", summary="Open invitations", parameters=[CLIENT],
        responses={200: InvitationList, **ERRORS},
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """What was sent and not answered yet. Without `client`: invitations to own the installation."""
        client = self.at(request.query_params.get("client"))
        return Response(
            InvitationList({"invitations": invitations.listing(self.principal, client=client)}).data
        )

    @extend_schema(
        operation_id="invite_person", summary="Invite a person", parameters=[KEY], request=NewInvitation,
        responses={201: InvitationShape, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        """Sends a mail with a link that works once, for seven days. A manager may give every role below owner."""
        data = self.given(NewInvitation)
        client = self.at(data.get("client"))
        row = invitations.invite(
            email=data["email"], client=client, role=data["role"], principal=self.principal, now=now()
        )
        return Response(InvitationShape(row).data, status=201)


class ResendInvitation(_PeopleView):
    @extend_schema(
        summary="Send an invitation again", parameters=[KEY], request=None,
        responses={200: InvitationShape, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        """A new link and seven new days; the old link is dead."""
        row = invitations.get(self.principal, uuid)
        row = invitations.resend(invitation=row, principal=self.principal, now=now())
        return Response(InvitationShape(row).data)


class WithdrawInvitation(_PeopleView):
    @extend_schema(
        summary="Withdraw an invitation", parameters=[KEY], request=None,
        responses={204: None, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        row = invitations.get(self.principal, uuid)
        invitations.withdraw(invitation=row, principal=self.principal, now=now())
        return Response(status=204)


class Roles(_PeopleView):
    @extend_schema(summary="What each role may do", responses={200: AbilityList, **ERRORS})
    def get(self, request: Request) -> Response:
        """The one permission table."""
        rows = [
            {
                "verb": verb,
                "words": words,
                "roles": [role for role in Role.values if role in access.VERBS[verb]],
            }
            for verb, words in access.WORDS.items()
        ]
        return Response(AbilityList({"abilities": rows}).data)


class Policies(_PeopleView):
    @extend_schema(
        operation_id="list_policies", summary="What roles must have", responses={200: PolicyList, **ERRORS}
    )
    def get(self, request: Request) -> Response:
        """Which roles must sign in with a second factor. Owners only."""
        access.require_owner(self.principal)
        return self.answer()

    @extend_schema(
        operation_id="set_policy", summary="Require a second factor of a role", parameters=[KEY],
        request=PolicyShape, responses={200: PolicyList, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        """Owners only; it holds from the next request of everybody with the role."""
        data = self.given(PolicyShape)
        required = data["two_factor_required"]
        policies.require_mfa(role=data["role"], required=required, principal=self.principal, now=now())
        return self.answer()

    def answer(self) -> Response:
        rows = [{"role": role, "two_factor_required": must} for role, must in policies.listing()]
        return Response(PolicyList({"policies": rows}).data)


class Clients(_PeopleView):
    @extend_schema(operation_id="list_clients", summary="Your clients", responses={200: ClientList, **ERRORS})
    def get(self, request: Request) -> Response:
        """Those that you may see, by name; archived ones left out."""
        return Response(ClientList({"clients": access.clients(self.principal)}).data)

    @extend_schema(
        operation_id="create_client", summary="Add a client", parameters=[KEY], request=ClientName,
        responses={201: ClientShape, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        """Owners only."""
        row = clients.create(name=self.given(ClientName)["name"], principal=self.principal, now=now())
        return Response(ClientShape(row).data, status=201)


class RenameClient(_PeopleView):
    @extend_schema(
        summary="Rename a client", parameters=[KEY], request=ClientName,
        responses={200: ClientShape, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        """Owners only. The slug, and with it every address, stays."""
        client = access.client(self.principal, ref)
        name = self.given(ClientName)["name"]
        return Response(
            ClientShape(clients.rename(client=client, name=name, principal=self.principal, now=now())).data
        )


class ArchiveClient(_PeopleView):
    @extend_schema(
        summary="Archive a client", parameters=[KEY], request=None,
        responses={200: ClientShape, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        """Owners only. Refused while one of its ad accounts is switched on."""
        client = access.client(self.principal, ref)
        return Response(ClientShape(clients.archive(client=client, principal=self.principal, now=now())).data)


class RestoreClient(_PeopleView):
    @extend_schema(
        summary="Take a client out of the archive", parameters=[KEY], request=None,
        responses={200: ClientShape, **WRITE_ERRORS},
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        """Owners only; by the client's UUID."""
        try:
            uuid = UUID(ref)
        except ValueError:
            raise NotFound("There is no such client.") from None
        (client,) = clients.archived(self.principal, uuid)
        return Response(ClientShape(clients.restore(client=client, principal=self.principal, now=now())).data)
