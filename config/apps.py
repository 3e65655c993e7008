"""What happens once in every process of this installation: the admin site, and the Celery app as the current one."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class AdminSite(AdminConfig):
    default_site = "config.admin.OperationsSite"

    def ready(self) -> None:
        super().ready()
        # Without this a `.delay()` of a web request or command would go to Celery's own default app and broker.
        import config.celery  # noqa: F401
