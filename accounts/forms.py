"""Forms of this floor's own pages; allauth brings the ones for sign-in."""

from __future__ import annotations

from django import forms

from accounts.errors import Refused


class TakesRefusals(forms.Form):
    """A form that shows what the floor below refused."""

    def take(self, refusal: Refused) -> None:
        """Show a refusal where it belongs: at its fields, else above the form."""
        for field, message in refusal.errors or [("", refusal.message)]:
            self.add_error(field if field in self.fields else None, message)


class SetUpForm(TakesRefusals):
    """The first visit: who owns this installation, and its first client."""

    name = forms.CharField(
        max_length=200, label="Your name", widget=forms.TextInput({"autocomplete": "name"})
    )
    email = forms.EmailField(label="Your e-mail", widget=forms.EmailInput({"autocomplete": "email"}))
    password = forms.CharField(
        label="Password",
        strip=False,
        help_text="At least ten characters.",
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )
    client_name = forms.CharField(
        max_length=200,
        label="Your first client",
        help_text="A customer whose ad accounts you run; your own name will do.",
    )


class AcceptForm(TakesRefusals):
    """An invited person who is new here; the address is the invitation's."""

    name = forms.CharField(
        max_length=200, label="Your name", widget=forms.TextInput({"autocomplete": "name"})
    )
    password = forms.CharField(
        label="Choose a password",
        strip=False,
        help_text="At least ten characters.",
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )


class TokenForm(TakesRefusals):
    """A system user's token, pasted; it is checked at Meta before anything is stored, and never written back."""

    token = forms.CharField(
        max_length=2000,
        label="Access token",
        help_text="It is checked at Meta first; nothing is stored before you confirm.",
        widget=forms.PasswordInput(
            {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}, render_value=False
        ),
        error_messages={
            "required": "Paste the token first.",
            "max_length": "This is too long for a token of Meta's.",
        },
    )

    def take(self, refusal: Refused) -> None:
        self.add_error("token", str(refusal))
