"""In a fresh installation: one owner and one client, so that `manage.py connect` has somebody to act for."""

from __future__ import annotations

import os

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from accounts.models import Client, Membership, Role, User

    client = Client.objects.create(name="Bench", slug="bench")
    user = User.objects.create_user("owner@example.com", None, name="Owner")
    Membership.objects.create(user=user, client=None, role=Role.OWNER)
    print(client.slug)


if __name__ == "__main__":
    main()
