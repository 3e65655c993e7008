"""Sign-in (allauth), the connect dance, first-visit set-up, and the API paths of this floor."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from accounts import adapters
from accounts.api import meta, oauth, people, session
from accounts.views import acting, connect, invitations, meta_calls, sessions, sign_in, two_factor

urlpatterns: list[URLPattern | URLResolver] = [
    path("setup/", sign_in.set_up, name="set_up"),
    path("accounts/login/", sign_in.sign_in, name="account_login"),
    path("accounts/email/", sign_in.email, name="account_email"),
    path("accounts/3rdparty/", sign_in.linked, name="socialaccount_connections"),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/3rdparty/", include("allauth.socialaccount.urls")),
    path("accounts/sessions/", sessions.own, name="usersessions_list"),
    # Not the provider's own urls: they bring an end point that takes any access token.
    path("accounts/facebook/login/", adapters.sign_in_with_facebook, name="facebook_login"),
    path(settings.META["redirect_path"].lstrip("/"), adapters.callback, name="facebook_callback"),
    path("_allauth/app/v1/account/email", sign_in.no_email_api),
    path("_allauth/app/v1/account/phone", sign_in.no_phone_api),
    path("_allauth/app/v1/auth/phone/verify", sign_in.no_phone_api),
    path("_allauth/app/v1/auth/phone/verify/resend", sign_in.no_phone_api),
    path("_allauth/", include("allauth.headless.urls")),
    path("connections/connect", connect.connect, name="connect"),
    path("connections/token/", connect.paste_token, name="paste_token"),
    path("connections/connect/<str:text>/", connect.connect_link, name="connect_link"),
    path("connections/confirm/<uuid:uuid>/", connect.confirm_connection, name="confirm_connection"),
    path("invitations/<str:secret>/", invitations.invitation, name="invitation"),
    path("acting/start", acting.start, name="acting_start"),
    path("acting/stop", acting.stop, name="acting_stop"),
    path("two-factor/", two_factor.required, name="two_factor_required"),
    path("two-factor/later", two_factor.later, name="two_factor_later"),
    path("webhooks/meta/deauthorize", meta_calls.deauthorize, name="meta_deauthorize"),
    path("webhooks/meta/data-deletion", meta_calls.data_deletion, name="meta_data_deletion"),
    path("data-deletion/<str:code>/", meta_calls.data_deletion_status, name="data_deletion_status"),
    path("api/session", session.SessionView.as_view(), name="api_session"),
    path("api/meta/validate-token", meta.ValidateToken.as_view(), name="api_validate_token"),
    path("api/meta/user-info", meta.UserInfoView.as_view(), name="api_user_info"),
    path("api/meta/ad-accounts", meta.AdAccounts.as_view(), name="api_ad_accounts"),
    path(
        "api/meta/ad-accounts/<str:account_id>/enable",
        meta.EnableAdAccount.as_view(),
        name="api_enable_ad_account",
    ),
    path(
        "api/meta/ad-accounts/<str:account_id>/disable",
        meta.DisableAdAccount.as_view(),
        name="api_disable_ad_account",
    ),
    path(
        "api/meta/ad-accounts/<str:account_id>/archive",
        meta.ArchiveAdAccount.as_view(),
        name="api_archive_ad_account",
    ),
    path(
        "api/meta/ad-accounts/<str:account_id>/restore",
        meta.RestoreAdAccount.as_view(),
        name="api_restore_ad_account",
    ),
    path("api/meta/ad-accounts/discover", meta.DiscoverAdAccounts.as_view(), name="api_discover_ad_accounts"),
    path("api/meta-oauth/authorize-url", oauth.AuthorizeUrlView.as_view(), name="api_authorize_url"),
    path("api/meta-oauth/callback", oauth.Callback.as_view(), name="api_oauth_callback"),
    path("api/meta-oauth/disconnect", oauth.Disconnect.as_view(), name="api_disconnect"),
    path("api/meta-oauth/refresh", oauth.Refresh.as_view(), name="api_refresh"),
    path("api/meta-oauth/pause", oauth.Pause.as_view(), name="api_pause"),
    path("api/meta-oauth/resume", oauth.Resume.as_view(), name="api_resume"),
    path("api/meta-oauth/discover", oauth.Discover.as_view(), name="api_discover"),
    path("api/meta-oauth/invite", oauth.Invite.as_view(), name="api_invite_to_connect"),
    path("api/meta-oauth/withdraw", oauth.Withdraw.as_view(), name="api_withdraw_link"),
    path("api/people", people.People.as_view(), name="api_people"),
    path("api/people/<uuid:uuid>/role", people.PersonRole.as_view(), name="api_person_role"),
    path("api/people/<uuid:uuid>/remove", people.RemovePerson.as_view(), name="api_remove_person"),
    path(
        "api/people/<uuid:uuid>/deactivate", people.DeactivatePerson.as_view(), name="api_deactivate_person"
    ),
    path(
        "api/people/<uuid:uuid>/reactivate", people.ReactivatePerson.as_view(), name="api_reactivate_person"
    ),
    path("api/invitations", people.Invitations.as_view(), name="api_invitations"),
    path(
        "api/invitations/<uuid:uuid>/resend", people.ResendInvitation.as_view(), name="api_resend_invitation"
    ),
    path(
        "api/invitations/<uuid:uuid>/withdraw",
        people.WithdrawInvitation.as_view(),
        name="api_withdraw_invitation",
    ),
    path("api/roles", people.Roles.as_view(), name="api_roles"),
    path("api/policies", people.Policies.as_view(), name="api_policies"),
    path("api/clients", people.Clients.as_view(), name="api_clients"),
    path("api/clients/<str:ref>/rename", people.RenameClient.as_view(), name="api_rename_client"),
    path("api/clients/<str:ref>/archive", people.ArchiveClient.as_view(), name="api_archive_client"),
    path("api/clients/<str:ref>/restore", people.RestoreClient.as_view(), name="api_restore_client"),
]
