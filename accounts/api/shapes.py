"""What this floor's API takes and answers, field by field; the names are the brief's."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

import accounts.ad_accounts as ad_accounts
from accounts.models import AdAccount, ConnectLink, MetaConnection


class ProblemError(serializers.Serializer[Any]):
    field = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    code = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457 problem details, `application/problem+json`."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    advice = serializers.CharField(allow_blank=True)
    errors = ProblemError(many=True)  # type: ignore[assignment]
    instance = serializers.CharField()
    request_id = serializers.CharField()


class TokenState(serializers.Serializer[Any]):
    valid = serializers.BooleanField(help_text="Whether a live connection to Meta stands.")
    state = serializers.CharField(
        help_text="connected, degraded, expiring, reauth_needed, revoked, paused, deleting or none"
    )
    reason = serializers.CharField(allow_blank=True)
    connection_id = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())
    missing_scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    data_access_expires_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)


class OwnUser(serializers.Serializer[Any]):
    id = serializers.CharField()
    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)


class UserInfo(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="The connected Meta user's id.")
    name = serializers.CharField(allow_blank=True)
    client = serializers.CharField()
    user = OwnUser(help_text="Who asks.")


class AdAccountShape(serializers.Serializer[AdAccount]):
    id = serializers.CharField(source="act_id")
    name = serializers.CharField()
    account_status = serializers.IntegerField()
    currency = serializers.CharField()
    timezone_name = serializers.CharField()
    business_name = serializers.CharField()
    account_type = serializers.SerializerMethodField()
    enabled = serializers.BooleanField()
    archived = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField(help_text="account_status and its reason in words.")
    spend_cap = serializers.DecimalField(
        None, None, allow_null=True, help_text="In `currency`; null: no cap, or not known."
    )
    amount_spent = serializers.DecimalField(
        None, None, allow_null=True, help_text="In `currency`; null: not known."
    )
    user_tasks = serializers.ListField(child=serializers.CharField())
    client = serializers.CharField(source="client.slug")

    def get_archived(self, account: AdAccount) -> bool:
        return account.archived_at is not None

    def get_status(self, account: AdAccount) -> str:
        return ad_accounts.standing(account.account_status, account.disable_reason)

    def get_account_type(self, account: AdAccount) -> str:
        return "PERSONAL" if account.is_personal else "BUSINESS"


class AdAccountList(serializers.Serializer[Any]):
    ad_accounts = AdAccountShape(many=True)


class AuthorizeUrl(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="Open it in a browser where the same person is signed in.")
    expires_at = serializers.DateTimeField()


class ConnectionRef(serializers.Serializer[Any]):
    connection_id = serializers.UUIDField(error_messages={"invalid": "connection_id is a UUID."})


class ConnectionShape(serializers.Serializer[MetaConnection]):
    id = serializers.CharField(source="uuid")
    client = serializers.CharField(source="client.slug")
    meta_user_id = serializers.CharField()
    meta_user_name = serializers.CharField()
    state = serializers.CharField()
    reason = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    data_access_expires_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)


class Disconnected(ConnectionShape):
    revoked_at_meta = serializers.SerializerMethodField(
        help_text="False: end it at facebook.com too, if you need to."
    )

    def get_revoked_at_meta(self, connection: MetaConnection) -> bool:
        return bool(self.context["revoked_at_meta"])


class Discovered(serializers.Serializer[Any]):
    """What a connection sees, and those that another client holds."""

    ad_accounts = AdAccountShape(many=True)
    foreign = serializers.ListField(
        child=serializers.CharField(), help_text="Held by another client: left alone."
    )


class ConnectInvitation(serializers.Serializer[Any]):
    client = serializers.CharField(help_text="Slug or UUID.")
    email = serializers.EmailField(max_length=254)


class LinkRef(serializers.Serializer[Any]):
    link_id = serializers.UUIDField(error_messages={"invalid": "link_id is a UUID."})


class ConnectLinkShape(serializers.Serializer[ConnectLink]):
    id = serializers.CharField(source="uuid")
    client = serializers.CharField(source="client.slug")
    email = serializers.EmailField(source="sent_to")
    expires_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField(allow_null=True)
    withdrawn_at = serializers.DateTimeField(allow_null=True)


class SessionShape(serializers.Serializer[Any]):
    """An API key has no session: both limits are null."""

    kind = serializers.ChoiceField(choices=["session", "token", "key"])
    person = serializers.UUIDField(help_text="Whose session it is.")
    idle_seconds = serializers.IntegerField(
        allow_null=True, help_text="Seconds until it ends without activity."
    )
    absolute_seconds = serializers.IntegerField(
        allow_null=True, help_text="Seconds until it ends in any case; null: no such limit."
    )
    warn_seconds = serializers.IntegerField(help_text="How long before an end the page warns.")
