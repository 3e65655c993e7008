"""Sign-in (allauth), the connect dance, first-visit set-up, and the API paths of this floor."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/3rdparty/", include("allauth.socialaccount.urls")),
    path("accounts/sessions/", include("allauth.usersessions.urls")),
    path("_allauth/", include("allauth.headless.urls")),
]
