"""The admin site: staff only, through the product's own login, under a policy that is loose nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from config.admin import OperationsSite

pytestmark = pytest.mark.django_db


def test_the_default_site_is_ours() -> None:
    assert isinstance(admin.site._wrapped if hasattr(admin.site, "_wrapped") else admin.site, OperationsSite)


@pytest.mark.parametrize("path", ["/admin/", "/admin/metaads/quotascope/"])
def test_a_visitor_is_sent_to_the_product_s_own_login(client: Client, agency: Any, path: str) -> None:
    answer = client.get(path, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/?next=")


def test_a_client_s_viewer_does_not_get_in(client: Client, agency: Any) -> None:
    client.force_login(agency.users.vic)
    assert client.get("/admin/", follow=True).status_code == 403


def test_owners_see_quotas_and_deliveries_and_cannot_change_them(client: Client, agency: Any) -> None:
    """Both name ad accounts of every client: a buyer of one client has nothing to look for there."""
    client.force_login(agency.users.bob)
    assert client.get("/admin/metaads/quotascope/").status_code == 403
    client.force_login(agency.users.alice)
    assert client.get("/admin/metaads/quotascope/").status_code == 200
    assert client.get("/admin/metaads/webhookdelivery/").status_code == 200
    assert client.get("/admin/metaads/quotascope/add/").status_code == 403


def test_only_the_admin_and_the_api_page_have_a_looser_policy(client: Client, agency: Any) -> None:
    client.force_login(agency.users.alice)
    policies = {
        path: client.get(path).headers["Content-Security-Policy"]
        for path in ("/admin/", "/api/docs/", "/livez")
    }
    assert "'unsafe-eval'" in policies["/admin/"]
    assert "'unsafe-eval'" not in policies["/api/docs/"] and "'unsafe-inline'" in policies["/api/docs/"]
    assert "unsafe" not in policies["/livez"]
    assert all(
        "frame-ancestors 'none'" in policy and "default-src 'none'" in policy for policy in policies.values()
    )


def test_the_api_s_description_is_for_signed_in_people(client: Client, agency: Any) -> None:
    assert client.get("/api/schema/").status_code in (401, 403)
    client.force_login(agency.users.vera)
    answer = client.get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200


def test_every_model_of_the_product_can_be_looked_at() -> None:
    """The same objects as on the pages, searchable; tables that only machines read are listed here."""
    from django.apps import apps

    ours = {"accounts", "campaigns", "insights", "strategies"}
    registered = {model._meta.label for model in admin.site._registry}
    for app in ours:
        labels = {model._meta.label for model in apps.get_app_config(app).get_models()}
        assert labels & registered, f"{app} shows nothing in the admin"
