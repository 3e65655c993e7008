"""The agency's admin site as the default one."""

from django.contrib.admin.apps import AdminConfig


class AdminSite(AdminConfig):
    default_site = "config.admin.OperationsSite"
