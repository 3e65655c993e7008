"""One viewer of the installation's client, signed in many times: python -m tests.bench.signed_in MANY. Prints JSON."""

from __future__ import annotations

import json
import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    import accounts.sessions as sessions
    from accounts.models import Client, Membership, Role, User
    from metaads.clock import now

    client = Client.objects.get(slug="bench")
    user = User.objects.create_user("viewer@example.com", None, name="Viewer")
    Membership.objects.create(user=user, client=client, role=Role.VIEWER)
    cookies = []
    for _ in range(int(sys.argv[1])):
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        sessions.begin(session=session, now=now())
        session.save()
        cookies.append(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
    print(json.dumps({"client_id": client.pk, "cookies": cookies}))


if __name__ == "__main__":
    main()
