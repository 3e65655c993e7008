"""Settings of one installation, read once from the environment (`config.env`).

Two ways to run, one code path: *embedded* (no DATABASE_URL, no REDIS_URL: SQLite, worker and beat as
threads of the web process) and *server* (PostgreSQL, Redis, several processes). With no environment at
all the embedded form starts and generates its keys once into VAR_DIR/keys.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from csp.constants import NONCE, NONE, SELF

from config import env

BASE_DIR = env.ROOT
ENV: dict[str, Any] = env.read()
VERSION = "0.1.0"


def _absolute(path: str) -> Path:
    given = Path(path)
    return given if given.is_absolute() else BASE_DIR / given


VAR_DIR = _absolute(ENV["VAR_DIR"])
PRODUCTION: bool = ENV["PRODUCTION"]
DEBUG: bool = ENV["DEBUG"]
PUBLIC_URL: str = ENV["PUBLIC_URL"].rstrip("/")
_public = urlsplit(PUBLIC_URL)
SECURE = _public.scheme == "https"


# --- keys: from the environment, else generated once with mode 0600; the checks refuse generated ones in production
def _key_file(name: str, make: Any) -> str:
    folder = VAR_DIR / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    if not path.exists():
        # Written in full under a name of its own, then linked: of two processes that start at once one key wins,
        # and nobody ever reads half of one.
        draft = folder / f"{name}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(make())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    text = path.read_text().strip()
    if not text:
        raise env.BadEnvironment(f"{path} is empty; remove it and start again.")
    return text


def _new_rsa() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


GENERATED_KEYS = [name for name in ("SECRET_KEY", "FERNET_KEYS", "JWT_PRIVATE_KEY") if not ENV[name]]
SECRET_KEY: str = ENV["SECRET_KEY"] or _key_file("secret_key", lambda: secrets.token_urlsafe(64))
FERNET_KEYS: list[str] = ENV["FERNET_KEYS"] or [
    _key_file("fernet_key", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
]
FERNET_USE_HKDF = False
_jwt_key: str = ENV["JWT_PRIVATE_KEY"].replace("\\n", "\n") or _key_file("jwt_key.pem", _new_rsa)

ALLOWED_HOSTS = sorted({_public.hostname or "localhost", "127.0.0.1", "localhost", *ENV["ALLOWED_HOSTS"]})
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    # Before the admin, whose templates it replaces; not "unfold", which swaps admin.site for an empty one.
    "unfold.apps.BasicAppConfig",
    "config.apps.AdminSite",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "accounts",  # before allauth, so that its templates are ours
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.facebook",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.headless",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "metaads",
    "campaigns",
    "insights",
    "strategies",
    "dashboard",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accounts.middleware.RequestId",
    "accounts.middleware.KeptByNobody",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "accounts.middleware.SessionLimits",
    "accounts.middleware.PrincipalOfRequest",
    "accounts.middleware.Gate",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "DIRS": [],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]

# --- database and Redis
EMBEDDED = not ENV["DATABASE_URL"] and not ENV["REDIS_URL"]
REDIS_URL: str = ENV["REDIS_URL"]
if ENV["DATABASE_URL"]:
    _database = environ.Env.db_url_config(ENV["DATABASE_URL"])
    _database["OPTIONS"] = {
        **_database.get("OPTIONS", {}),
        # A pool doubles its wait for a server that is away; given up after 8 s, the next request begins at 1 s again.
        "pool": {"min_size": 0, "max_size": 12, "timeout": 20, "reconnect_timeout": 8},
    }
    _database["CONN_HEALTH_CHECKS"] = True
else:
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    _database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR_DIR / "metaads.sqlite3",
        "OPTIONS": {
            # FULL: a committed attempt row must survive a power cut, else a write could have happened unseen.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }
DATABASES = {"default": {**_database, "ATOMIC_REQUESTS": False}}

if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "config.cache.RedisOrHere",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "metaads"}}

# --- Celery: config/celery.py holds the schedule
CELERY = {
    "broker_url": REDIS_URL or "memory://",
    "broker_transport_options": (
        {
            "visibility_timeout": 600,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            # A frozen Redis must hold up no page that wakes a task, and no sender.
            "socket_connect_timeout": 2,
            "socket_timeout": 5,
        }
        if REDIS_URL
        else {"polling_interval": 0.05}
    ),
    "broker_connection_retry_on_startup": True,
    "broker_channel_error_retry": True,  # Redis refuses to write (read-only, full): else each worker would end
    "broker_connection_max_retries": None,  # a worker waits for Redis however long; config.server ends with a worker
    "task_ignore_result": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_time_limit": None if EMBEDDED else 120,
    "worker_prefetch_multiplier": 1,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "task_serializer": "json",
    "accept_content": ["json"],
    "timezone": "UTC",
    "task_default_queue": "sync",
}

# --- Meta: only this file reads META_*; `metaads.gateway` turns it into clients
META = {
    "app_id": ENV["META_APP_ID"],
    "app_secret": ENV["META_APP_SECRET"],
    "app_secret_previous": ENV["META_APP_SECRET_PREVIOUS"],
    "graph_url": ENV["META_GRAPH_URL"].rstrip("/"),
    "dialog_url": ENV["META_DIALOG_URL"].rstrip("/"),
    "version": ENV["META_GRAPH_VERSION"],
    "scopes": ENV["META_SCOPES"],
    "redirect_path": ENV["META_REDIRECT_PATH"],
    "verify_token": ENV["META_WEBHOOK_VERIFY_TOKEN"],
}
POLLING: bool = ENV["POLLING"]
POLL_SECONDS: int = ENV["POLL_SECONDS"]
SETTLE_SECONDS: int = ENV["SETTLE_SECONDS"]
LOOKBACK_DAYS: int = ENV["LOOKBACK_DAYS"]
FIRST_SYNC_DAYS: int = ENV["FIRST_SYNC_DAYS"]
SILENCE_HOURS: int = ENV["SILENCE_HOURS"]
BUILD_ID: str = ENV["BUILD_ID"] or VERSION

# --- sign-in (allauth); the token of a Meta connection never passes through SocialToken
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
SOCIALACCOUNT_ADAPTER = "accounts.adapters.SocialAccountAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_PROVIDERS = {
    "facebook": {
        "METHOD": "oauth2",
        "APP": {"client_id": META["app_id"], "secret": META["app_secret"], "key": ""},
        "SCOPE": META["scopes"],
        "FIELDS": ["id", "name"],
        "VERSION": META["version"],
        "GRAPH_API_URL": f"{META['graph_url']}/{META['version']}",
        "AUTHORIZE_URL": f"{META['dialog_url']}/{META['version']}/dialog/oauth",
    }
}
FACEBOOK_SIGN_IN: bool = ENV["FACEBOOK_SIGN_IN"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
HEADLESS_ONLY = False
HEADLESS_SERVE_SPECIFICATION = True  # /_allauth/openapi.json: sign-in is documented apart from our own API
HEADLESS_SPECIFICATION_TEMPLATE_NAME = None  # its page would load scripts from elsewhere
HEADLESS_CLIENTS = ("app",)
HEADLESS_TOKEN_STRATEGY = "accounts.api.jwt.Tokens"  # noqa: S105 - a path
HEADLESS_JWT_ALGORITHM = "RS256"
HEADLESS_JWT_PRIVATE_KEY = _jwt_key
HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED = True
ALLAUTH_TRUSTED_PROXY_COUNT = ENV["TRUSTED_PROXIES"]
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
# One step (RFC 6238, 5.2): a code that is typed at the end of its half minute is read in the next.
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- sessions, cookies, headers
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
SESSION_ENGINE = "django.contrib.sessions.backends.db"  # accounts.sessions looks through its rows
SESSION_IDLE_SECONDS = 30 * 60
SESSION_ABSOLUTE_SECONDS = 12 * 60 * 60  # of agency roles
# When a row may be thrown away. The limits above are held by `accounts.sessions`, to the second.
SESSION_COOKIE_AGE = SESSION_IDLE_SECONDS + 60
SESSION_SAVE_EVERY_REQUEST = False
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = SECURE
# Probes and scrapers of the same machine come over plain http.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
if ENV["TRUSTED_PROXIES"]:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
_socket_origin = f"{'wss' if SECURE else 'ws'}://{_public.netloc}"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "https:"],
        "font-src": [SELF],
        "connect-src": [SELF, _socket_origin],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF, META["dialog_url"]],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- files, language, mail
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "files"},
    },
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
DEFAULT_FROM_EMAIL: str = ENV["DEFAULT_FROM_EMAIL"]
EMAIL_TIMEOUT = 10  # for each word with the mail server; an outbox claim is longer than a whole talk
if ENV["EMAIL_URL"]:
    vars().update(environ.Env.email_url_config(ENV["EMAIL_URL"]))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = VAR_DIR / "mail"
    EMAIL_FILE_PATH.mkdir(parents=True, exist_ok=True, mode=0o700)  # they hold one-time links

# --- API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.BearerJWT",
        "accounts.api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["accounts.api.renderers.DecimalJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.renderers.StrictJSONParser"],
    "EXCEPTION_HANDLER": "accounts.api.problems.handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.UserRateThrottle",
        "rest_framework.throttling.AnonRateThrottle",
    ],
    "NUM_PROXIES": ENV["TRUSTED_PROXIES"],  # else a caller's X-Forwarded-For would choose its own bucket
    "DEFAULT_THROTTLE_RATES": {"user": "600/min", "anon": "60/min"},
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "ENUM_NAME_OVERRIDES": {
        "CampaignStatus": ["ACTIVE", "PAUSED"],
        "StrategyStatus": ["active", "paused", "completed"],
        # Of "not null" and "may be null" the generator makes two names; all rankings are one enum.
        "RankingEnum": [
            "BELOW_AVERAGE_10",
            "BELOW_AVERAGE_20",
            "BELOW_AVERAGE_35",
            "AVERAGE",
            "ABOVE_AVERAGE",
        ],
        "Stage": ["shadow", "approval"],
        "AnyRole": ["owner", "manager", "buyer", "analyst", "approver", "viewer", "integrator"],
        "Level": ["account", "campaign", "adset", "ad"],
        "ObjectLevel": ["campaign", "adset", "ad"],
        "RoleBelowOwner": ["manager", "buyer", "analyst", "approver", "viewer", "integrator"],
    },
    "TITLE": "metaads API",
    "DESCRIPTION": "Ad accounts, campaigns, insights, changes and strategies. Errors are RFC 9457 problem details.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    # What it finds is about the description, not about deploying; a test validates the description.
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SERVE_AUTHENTICATION": ["rest_framework.authentication.SessionAuthentication"],
}
UNFOLD = {
    "SITE_TITLE": "metaads operations",
    "SITE_HEADER": "metaads operations",
    "SITE_URL": "/",
    "SITE_ICON": f"{STATIC_URL}accounts/icon.svg",
    "SCRIPTS": [f"{STATIC_URL}accounts/admin.js"],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}accounts/icon.svg"}],
    # The blue of the pages, so that staff and clients see one product.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        }
    },
}

# What Django reports of a crash (the DEBUG page, mails to ADMINS): where, without anybody's values.
DEFAULT_EXCEPTION_REPORTER = "accounts.reports.Report"
DEFAULT_EXCEPTION_REPORTER_FILTER = "accounts.reports.Names"
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact": {"()": "accounts.redaction.RedactSecrets"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redact"]},
    },
    "root": {"handlers": ["console"], "level": ENV["LOG_LEVEL"] or ("DEBUG" if DEBUG else "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # With DEBUG every statement would be a line with its values: sessions, digests, stored secrets.
        "django.db.backends": {"level": "INFO"},
        "django.template": {"level": "INFO"},
        "asyncio": {"level": "INFO"},
        # runserver prints request lines past every filter; an OAuth code stands in one of them.
        "django.server": {"handlers": ["console"], "propagate": False},
        # Handlers that the servers bring along would write past the filter.
        "uvicorn": {"handlers": ["console"], "propagate": False},
        "uvicorn.error": {"handlers": [], "propagate": True},
        "uvicorn.access": {"handlers": [], "propagate": False},
        # Every scan every five seconds would be two lines; a task that fails still is one, with its traceback.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.consumer.connection": {"level": "WARNING"},
        "kombu.connection": {"level": "ERROR"},
    },
}
