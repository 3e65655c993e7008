"""The product in the process of a proof that is started by itself, outside of pytest."""

from __future__ import annotations

import os
from typing import Any


def product() -> Any:
    """Load the product in this process, on a database of its own in a throw-away folder; the agency in it."""
    os.environ.pop("METAADS_TEST_VAR", None)  # the folder of the pytest that started us
    os.environ["TEST_DATABASE_URL"] = os.environ["TEST_REDIS_URL"] = ""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    from django.conf import settings
    from django.core.management import call_command

    # Processes are killed here, not machines: what they wrote is in the file, whether the disk has it yet or not.
    options = settings.DATABASES["default"]["OPTIONS"]
    options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
    options["transaction_mode"] = "IMMEDIATE"
    django.setup()
    call_command("migrate", verbosity=0)
    from tests.conftest import found_agency

    return found_agency()
