"""The HTTP half of the product (config.asgi puts it behind one port with the sockets)."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

from config.shedding import limit  # noqa: E402 - it needs Django set up

# Whoever loads this module serves pages; nothing has connected to the database yet.
limit(settings.DATABASES["default"])
