"""Secrets under keys: what an encrypted column stores, and how it is read again.

    stored    <key id>:<Fernet token of [identity, secret]>
    key id    eight hex digits of the key's SHA-256: says which key opens a value, tells nothing about the key
    identity  table, column and the row's own natural key

Fernet has no associated data, so the identity is bound *inside*: a value that was copied from another row
opens, is seen to be somebody else's, and is refused. The newest key seals, every key of the list opens.
It knows no models and no settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

ID_LENGTH: Final = 8

Identity = tuple[str, ...]


class Unopened(ValueError):
    """A stored value that does not open. The text quotes nothing of it."""


class KeyMissing(Unopened):
    """The key that sealed it is not in the list."""


class SomebodyElses(Unopened):
    """It opens, and was sealed for another row."""


def key_id(key: str) -> str:
    """The public name of a key."""
    return hashlib.sha256(f"metaads key {key}".encode()).hexdigest()[:ID_LENGTH]


def key_id_of(stored: bytes) -> str:
    """The id of the key that sealed `stored`; "" for what is not of our form."""
    head, colon, _ = stored.partition(b":")
    return head.decode("ascii", "replace") if colon and len(head) == ID_LENGTH else ""


class Keyring:
    """The keys of one installation, newest first. Raises `ValueError` for a text that is no Fernet key."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("there is no key")
        self._keys = {key_id(key): Fernet(key) for key in keys}
        self.ids = tuple(self._keys)
        self.newest = self.ids[0]

    def seal(self, secret: str, identity: Identity) -> bytes:
        """`secret` for the row that `identity` names, under the newest key."""
        inside = json.dumps([list(identity), secret]).encode()
        return self.newest.encode() + b":" + self._keys[self.newest].encrypt(inside)

    def open(self, stored: bytes, identity: Identity) -> str:
        """The secret again. Raises an `Unopened`: no such key, damaged, or another row's."""
        name = key_id_of(stored)
        fernet = self._keys.get(name)
        if fernet is None:
            raise KeyMissing(f"it was sealed with the key {name}" if name else "it is not of our form")
        try:
            bound, secret = json.loads(fernet.decrypt(stored[ID_LENGTH + 1 :]))
        except (InvalidToken, ValueError):
            raise Unopened("it is damaged") from None
        if bound != list(identity):
            raise SomebodyElses("it was sealed for another row")
        return str(secret)
