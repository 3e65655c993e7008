"""A complete production environment with keys made on the spot: `python -m tests.production_environment`.

`make check` runs `manage.py check --deploy` under it, and a test holds it to the variables that exist.
"""

from __future__ import annotations

import base64
import secrets

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def environment() -> dict[str, str]:
    """Variable -> value; nothing in it is used anywhere."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "PRODUCTION": "true",
        "PUBLIC_URL": "https://ads.example.com",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "FERNET_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "JWT_PRIVATE_KEY": key.decode().strip().replace("\n", "\\n"),
        "DATABASE_URL": "postgres://metaads:throw-away@127.0.0.1:5432/metaads",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "META_APP_ID": "1234567890",
        "META_APP_SECRET": secrets.token_hex(16),
        "META_WEBHOOK_VERIFY_TOKEN": secrets.token_hex(16),
        "TRUSTED_PROXIES": "1",
        "EMAIL_URL": "smtp+tls://metaads:throw-away@mail.example.com:587",
        "DEFAULT_FROM_EMAIL": "metaads <metaads@example.com>",
    }


if __name__ == "__main__":
    for name, value in environment().items():
        print(f"{name}='{value}'")  # noqa: T201 - the output is the purpose
