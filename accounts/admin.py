"""The operations site's base: staff see their clients' rows, mostly to read; secrets have no field here."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

import accounts.access as access
import accounts.keys as keys
import accounts.outbox as outbox
import accounts.people as people
from accounts.errors import Refused
from accounts.models import (
    AdAccount,
    Alert,
    ApiKey,
    AuditLine,
    Client,
    ConnectLink,
    GrantedAsset,
    Invitation,
    Lease,
    Membership,
    MetaConnection,
    OutboxMessage,
    PendingGrant,
    RolePolicy,
    SignedRequest,
    User,
    UserRequest,
    UserRequestPart,
)
from accounts.tenancy import AccountFacts, Principal
from metaads.clock import now

#: Columns that no list may be asked about, whatever form hides them.
_SECRET = frozenset({"password", "token", "digest", "body", "session_key"})
#: The name under which a request keeps its principal.
_PRINCIPAL = "principal_in_admin"


class ScopedAdmin(ModelAdmin):
    """Every app's admin inherits this: rows by the principal's clients, and nothing to write.

    `scope` leads from a row to its client's id ("" for rows that only an owner sees); facts are scoped by ad
    account. `hidden` fields are never shown; `writable` lets owners add, change or delete.
    """

    scope: ClassVar[str] = "client_id"
    hidden: ClassVar[tuple[str, ...]] = ()
    writable: ClassVar[frozenset[str]] = frozenset()
    list_per_page = 50
    show_full_result_count = False

    def principal(self, request: HttpRequest) -> Principal:
        """Who asks; looked up once a request, because the list of models asks for each of them several times."""
        found: Principal | None = getattr(request, _PRINCIPAL, None)
        if found is None:
            found = access.principal_of(request.user)
            setattr(request, _PRINCIPAL, found)
        return found

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        manager = getattr(self.model, "everything", self.model._default_manager)
        rows: QuerySet[Any] = manager.get_queryset()
        ordering = self.get_ordering(request)
        return (
            self.scoped(rows, self.principal(request)).order_by(*ordering)
            if ordering
            else self.scoped(rows, self.principal(request))
        )

    def scoped(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        """Narrow `rows` to what the principal may see."""
        if principal.everywhere:
            return rows
        if issubclass(self.model, AccountFacts):
            return rows.filter(ad_account_id__in=AdAccount.objects.for_(principal).values("pk"))
        return rows.filter(**{f"{self.scope}__in": principal.client_ids}) if self.scope else rows.none()

    def _may(self, request: HttpRequest, what: str) -> bool:
        principal = self.principal(request)
        if not getattr(request.user, "is_staff", False) or not principal.roles:
            return False
        if what == "view":
            return principal.everywhere or bool(self.scope) or issubclass(self.model, AccountFacts)
        return what in self.writable and principal.everywhere

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "view")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "view")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "delete")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        # Without names Django builds a form to learn them, and that asks a tenant's manager without a scope.
        if self.fields or self.writable:
            return super().get_fields(request, obj)
        left_out = set(self.get_exclude(request, obj))
        own = [field.name for field in self.model._meta.fields if not field.primary_key]
        return [name for name in dict.fromkeys((*own, *self.readonly_fields)) if name not in left_out]

    def get_exclude(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return (*(super().get_exclude(request, obj) or ()), *self.hidden)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # ?password__startswith=… on a list would tell a secret column letter by letter.
        if set(lookup.split("__")) & {*_SECRET, *self.hidden}:
            return False
        return bool(super().lookup_allowed(lookup, value, request))


class UserForm(forms.ModelForm):
    """A new person's password is set here; later everybody changes their own."""

    password = forms.CharField(widget=forms.PasswordInput({"autocomplete": "new-password"}), strip=False)

    class Meta:
        model = User
        fields = ("email", "name", "password")


@admin.register(User)
class UserAdmin(ScopedAdmin):
    scope = ""
    writable = frozenset({"add", "change"})
    list_display = ("email", "name", "is_staff", "is_active", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    fields = ("email", "name", "is_active", "is_staff", "last_login", "created_at")
    # Closing an account has its guard, and ends every session: that is the people page's.
    readonly_fields = ("is_active", "is_staff", "last_login", "created_at")

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return super().get_form(request, obj, change, **(kwargs if change else {**kwargs, "form": UserForm}))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("email", "name", "password") if obj is None else self.fields

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.email = obj.email.strip().lower()
        if not change:
            obj.set_password(form.cleaned_data["password"])
        super().save_model(request, obj, form, change)


@admin.register(Client)
class ClientAdmin(ScopedAdmin):
    scope = "pk"
    writable = frozenset({"add", "change"})
    list_display = ("name", "slug", "result_action", "approval_hours", "archived_at")
    search_fields = ("name", "slug")
    prepopulated_fields: ClassVar[dict[str, tuple[str, ...]]] = {"slug": ("name",)}
    readonly_fields = ("archived_at",)  # on the people page, which looks at the ad accounts first
    fields = (
        "name",
        "slug",
        "result_action",
        "target_cpa",
        "target_roas",
        "goods_cost_percent",
        "fee_percent",
        "wrong_calls_percent",
        "approval_hours",
        "archived_at",
    )

    def get_prepopulated_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.prepopulated_fields if self.has_add_permission(request) and obj is None else {}


class MembershipForm(forms.ModelForm):
    """A role for somebody who has none there; NULLs are distinct, so a second ownership is looked for here."""

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if Membership.objects.filter(user=data.get("user"), client=data.get("client")).exists():
            raise forms.ValidationError("This person has a role here already: change it on the people page.")
        return data


@admin.register(Membership)
class MembershipAdmin(ScopedAdmin):
    """A role may be given here, to a program's user without a mailbox, say. Changing and ending one has guards
    (the last owner, one's own role) and signs the person out: that is the people page's."""

    writable = frozenset({"add"})
    form = MembershipForm
    fields = ("user", "client", "role")
    list_display = ("user", "role", "client", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "client")
    search_fields = ("user__email", "user__name", "client__name")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        principal = self.principal(request)
        people.may_give(principal, obj.role, obj.client)
        row = people.join(user=obj.user, client=obj.client, role=obj.role, principal=principal, now=now())
        obj.pk = row.pk


@admin.register(Invitation)
class InvitationAdmin(ScopedAdmin):
    scope = ""
    hidden = ("digest",)
    list_display = ("email", "role", "client", "invited_by", "expires_at", "accepted_at", "withdrawn_at")
    list_filter = ("role",)
    list_select_related = ("client", "invited_by")
    search_fields = ("email", "client__name")


@admin.register(RolePolicy)
class RolePolicyAdmin(ScopedAdmin):
    scope = ""
    list_display = ("role", "mfa_required", "changed_by", "changed_at")
    list_select_related = ("changed_by",)


@admin.register(MetaConnection)
class MetaConnectionAdmin(ScopedAdmin):
    hidden = ("token",)
    list_display = ("meta_user_name", "client", "state", "kind", "expires_at", "checked_at")
    list_filter = ("state", "kind")
    list_select_related = ("client",)
    search_fields = ("meta_user_name", "meta_user_id", "client__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("token")


@admin.register(AdAccount)
class AdAccountAdmin(ScopedAdmin):
    list_display = ("name", "act_id", "client", "currency", "account_status", "enabled_at", "last_contact_at")
    list_filter = ("account_status", "currency")
    list_select_related = ("client",)
    search_fields = ("name", "meta_id", "business_name", "client__name")


@admin.register(ApiKey)
class ApiKeyAdmin(ScopedAdmin):
    scope = ""
    hidden = ("digest",)
    writable = frozenset({"add"})
    list_display = ("name", "prefix", "user", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__email")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        add = ("user", "name", "scopes", "expires_at")
        return add if obj is None else (*add, "prefix", "created_at", "last_used_at", "revoked_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made, text = keys.issue(
            user=obj.user,
            name=obj.name,
            scopes=obj.scopes or (),
            expires_at=obj.expires_at,
            principal=self.principal(request),
            now=now(),
        )
        obj.pk = made.pk
        obj.refresh_from_db()
        messages.warning(request, f"The key, shown only now: {text}")

    @admin.action(description="Revoke", permissions=["add"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for key in queryset.filter(revoked_at__isnull=True).select_related("user"):
            keys.revoke(user=key.user, prefix=key.prefix, principal=self.principal(request), now=now())


@admin.register(AuditLine)
class AuditLineAdmin(ScopedAdmin):
    list_display = ("at", "verb", "subject", "client", "actor_kind", "actor_id")
    list_filter = ("verb", "actor_kind")
    list_select_related = ("client",)
    search_fields = ("subject", "verb", "client__name")


@admin.register(Alert)
class AlertAdmin(ScopedAdmin):
    list_display = ("title", "severity", "state", "client", "opened_at", "closed_at")
    list_filter = ("state", "severity")
    list_select_related = ("client",)
    search_fields = ("title", "key", "client__name")


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ScopedAdmin):
    """Who was written to, and what became of it; the text may hold a one-time link and is never shown."""

    scope = ""
    hidden = ("body",)
    list_display = ("subject", "address", "client", "created_at", "sent_at", "tries", "given_up_at", "error")
    list_filter = (("sent_at", admin.EmptyFieldListFilter), ("given_up_at", admin.EmptyFieldListFilter))
    list_select_related = ("client",)
    search_fields = ("address", "subject", "client__name")
    ordering = ("-created_at", "-pk")
    actions = ("send_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("body")

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "view") and self.principal(request).everywhere

    @admin.action(description="Send again", permissions=["resend"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for message in queryset.select_related("client"):
            try:
                outbox.again(message=message, principal=self.principal(request), now=now())
                messages.success(request, f"{message.subject}: goes out within seconds.")
            except Refused as no:
                messages.error(request, f"{message.subject}: {no}")


@admin.register(Lease)
class LeaseAdmin(ScopedAdmin):
    scope = ""
    list_display = ("name", "holder", "until", "fence")
    search_fields = ("name", "holder")


@admin.register(GrantedAsset)
class GrantedAssetAdmin(ScopedAdmin):
    list_display = ("ad_account", "connection", "client", "tasks", "seen_at", "gone_at")
    list_select_related = ("ad_account", "connection__client", "client")
    search_fields = ("ad_account__name", "ad_account__meta_id", "connection__meta_user_name")


@admin.register(ConnectLink)
class ConnectLinkAdmin(ScopedAdmin):
    """The id opens the link, so it is not shown."""

    hidden = ("uuid",)
    list_display = ("client", "sent_to", "made_by", "created_at", "expires_at", "used_at", "withdrawn_at")
    list_select_related = ("client", "made_by")
    search_fields = ("sent_to", "client__name")


@admin.register(PendingGrant)
class PendingGrantAdmin(ScopedAdmin):
    hidden = ("uuid", "token", "session_key", "link")
    list_display = ("client", "meta_user_name", "user", "expires_at", "used_at")
    list_select_related = ("client", "user")
    search_fields = ("meta_user_name", "meta_user_id", "client__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("token")


@admin.register(UserRequest)
class UserRequestAdmin(ScopedAdmin):
    """What Meta users asked for at facebook.com. The code opens a public page, which says no more than this."""

    scope = ""
    list_display = ("code", "kind", "received_at", "done_at")
    list_filter = ("kind",)
    search_fields = ("code",)


@admin.register(UserRequestPart)
class UserRequestPartAdmin(ScopedAdmin):
    scope = ""
    list_display = ("request", "part", "done_at")
    list_select_related = ("request",)
    search_fields = ("request__code", "part")


@admin.register(SignedRequest)
class SignedRequestAdmin(ScopedAdmin):
    scope = ""
    hidden = ("digest",)
    list_display = ("request", "received_at")
    list_select_related = ("request",)
    search_fields = ("request__code",)
