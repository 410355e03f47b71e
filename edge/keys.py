"""API keys: what a token looks like, what the store keeps of it, and what a key may be good for."""

import hashlib
import hmac
import secrets

EVERYTHING = "*"
"""The scope of a key that may do everything."""

SCOPES = {
    "messages:send": "send messages",
    "messages:read": "read messages and conversations, explain, usage",
    "messages:write": "mark as read, archive, delete",
    "events:read": "follow the stream of events",
    "deliveries:read": "see what became of deliveries",
    "deliveries:write": "retry, skip and replay them",
    "contacts:read": "read contacts, groups and opt-outs",
    "contacts:write": "change them",
    "dids:read": "see the numbers, their handlers and webhooks",
    "dids:write": "change and test them",
    "sip:read": "see the SIP accounts and where their phones are",
    "sip:write": "add, change and remove them",
    "keys:read": "see the keys, never their tokens",
    "keys:write": "make, rotate and revoke keys",
}
"""What a key may be good for, and what that allows."""

PREVIOUS_MS = 24 * 3_600_000
"""How long the token before a rotation is good, unless another time is asked for."""


def new_token() -> str:
    """A key's token: ``tk_<prefix>_<secret>``; the prefix may be shown, the secret has 160 bits."""
    return f"tk_{secrets.token_hex(4)}_{secrets.token_hex(20)}"


def token_of(secret: str, purpose: str) -> str:
    """A key's token that follows from a secret that nobody else knows: the same for the same purpose."""
    digits = hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()
    return f"tk_{digits[:8]}_{digits[8:48]}"


def new_operator_token() -> str:
    """The key of an operator: ``op_<secret>``."""
    return f"op_{secrets.token_hex(20)}"


def prefix_of(token: str) -> str:
    """The part of a token that may be shown."""
    return token.split("_")[1]


def token_hash(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
