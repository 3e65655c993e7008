"""Every address of the installation. Each app writes its own full paths; order decides, lower floors first."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from config.api import urlpatterns as api
from config.health import livez, metrics, readyz

handler400 = "config.shedding.refused"
handler500 = "config.shedding.failed"

urlpatterns = [
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    *api,
    path("", include("accounts.urls")),
    path("", include("metaads.urls")),
    path("", include("campaigns.urls")),
    path("", include("insights.urls")),
    path("", include("strategies.urls")),
    path("", include("dashboard.urls")),
]
