"""The API's own description: the OpenAPI schema, and a page to read it on, for signed-in people."""

from __future__ import annotations

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

#: Swagger UI (served from our own files) writes inline styles and a start-up script.
RELAXED = {
    "script-src": [SELF, UNSAFE_INLINE],
    "style-src": [SELF, UNSAFE_INLINE],
    "worker-src": [SELF, "blob:"],
    "connect-src": [SELF],
}

urlpatterns = [
    path("api/schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path(
        "api/docs/",
        csp_replace(RELAXED)(SpectacularSwaggerView.as_view(url_name="api_schema")),
        name="api_docs",
    ),
]
