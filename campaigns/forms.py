"""The operations site's form of a spend limit: a refusal of `caps` stands beside its field before anything is set."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

import campaigns.changes.caps as caps
from accounts.errors import Refused
from accounts.models import AdAccount, Client
from accounts.tenancy import Principal
from campaigns.changes.envelopes import Period, Scope
from campaigns.models import Envelope

_SCOPES: Final = {
    Scope.ACCOUNT: "This ad account",
    Scope.CLIENT: "Its client, all accounts in its currency",
    Scope.CAMPAIGN: "One campaign with all below it",
    Scope.OBJECT: "One campaign or ad set",
}
_PERIODS: Final = {
    Period.HOUR: "The next hour",
    Period.DAY: "A day",
    Period.WEEK: "A week, Sunday to Saturday",
    Period.MONTH: "A month",
    Period.FLIGHT: "Its flight, start to end",
    Period.RISE: "Raises of 24 hours",
}


class LimitForm(forms.ModelForm):
    """Nothing here writes: `wished` is what `caps.set_` is to be called with. The admin hands in the principal."""

    principal: Principal

    amount = forms.DecimalField(
        label="Limit", required=False, widget=UnfoldAdminDecimalFieldWidget(), localize=False,
        help_text="In the ad account's currency. Empty takes it away; the day of an account and of a client is only "
        "ever changed.",
    )  # fmt: skip
    reason = forms.CharField(
        label="Why",
        max_length=500,
        widget=UnfoldAdminTextInputWidget(),
        help_text="It stands in the ledger, too.",
    )

    class Meta:
        model = Envelope
        fields: tuple[str, ...] = ()

    def wished(self) -> dict[str, Any]:
        """The row that is edited, with another amount."""
        row: Envelope = self.instance
        currency = row.ad_account.currency if row.ad_account is not None else row.currency
        return self._wish(row.client, row.ad_account, row.scope, row.period, row.object_id, currency)

    def _wish(
        self,
        client: Client,
        ad_account: AdAccount | None,
        scope: str,
        period: str,
        object_id: str,
        currency: str,
    ) -> dict[str, Any]:
        return {
            "principal": self.principal, "client": client, "ad_account": ad_account, "scope": Scope(scope),
            "period": Period(period), "object_id": object_id, "currency": currency,
            "amount": self.cleaned_data.get("amount"),
        }  # fmt: skip

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                caps.wanted(**self.wished())
            except Refused as no:
                self.add_error(self._field(no), str(no))
        return data

    def _post_clean(self) -> None:
        """The row is `caps`' to write: nothing is put into it here, and its constraints are not asked."""

    def _field(self, no: Refused) -> str | None:
        named = next((name for name, _ in no.errors), None)
        return (
            named if named in self.fields else {"bad_period": "period", "limit_needed": "amount"}.get(no.code)
        )


class NewLimitForm(LimitForm):
    """One more limit, or another amount for one that stands there, of one of `accounts`."""

    accounts: QuerySet[AdAccount]

    ad_account: forms.ModelChoiceField[AdAccount] = forms.ModelChoiceField(
        label="Ad account", queryset=None, widget=UnfoldAdminSelectWidget()
    )
    scope = forms.ChoiceField(label="Of", choices=list(_SCOPES.items()), widget=UnfoldAdminSelectWidget())
    object_id = forms.CharField(
        label="Which one", required=False, max_length=40, widget=UnfoldAdminTextInputWidget(),
        help_text="Meta's id of the campaign or ad set, for the last two.",
    )  # fmt: skip
    period = forms.ChoiceField(label="Over", choices=list(_PERIODS.items()), widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["ad_account"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = self.accounts

    def wished(self) -> dict[str, Any]:
        data = self.cleaned_data
        account: AdAccount = data["ad_account"]
        return self._wish(
            account.client,
            account,
            data["scope"],
            data["period"],
            data["object_id"].strip(),
            account.currency,
        )
