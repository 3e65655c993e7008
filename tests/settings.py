"""Settings under test: the product's own, with its files in a throw-away folder and the sandbox's app.

The database follows TEST_DATABASE_URL (SQLite when empty); everything else is as shipped.
"""

import os
import tempfile
from pathlib import Path

_folder = Path(os.environ.get("METAADS_TEST_VAR") or tempfile.mkdtemp(prefix="metaads-test-"))
for _name in list(os.environ):
    if _name.startswith("META_") or _name in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FERNET_KEYS", "PRODUCTION", "DEBUG"}:
        del os.environ[_name]
os.environ.update(
    {
        "METAADS_TEST_VAR": str(_folder),
        "VAR_DIR": str(_folder),
        "META_APP_ID": "1000000000000001",
        "META_APP_SECRET": "sandbox-secret",
        "META_WEBHOOK_VERIFY_TOKEN": "sandbox-verify",
        "PUBLIC_URL": "http://localhost:3000",
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
    }
)

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, REST_FRAMEWORK  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ALLOWED_HOSTS = ["*"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file: the browser tests and the two-thread tests open it from several threads.
    DATABASES["default"]["TEST"] = {"NAME": str(_folder / "test.sqlite3")}
else:
    DATABASES["default"]["OPTIONS"].pop("pool", None)
REST_FRAMEWORK = {**REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"user": None, "anon": None}}
ACCOUNT_RATE_LIMITS = False
CELERY_BROKER = "memory://"
