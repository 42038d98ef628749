"""Tickets as rejoin's gateways seal them (spec/resume.md, "Ticket"). Needs Debian's python3-cryptography; nothing else here does."""

import hashlib
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KINDS = {"proof": 1, "cookie": 2}


def plaintext_of(session, kind, expiry, owner):
    return bytes.fromhex(session) + bytes([KINDS.get(kind, kind)]) + expiry.to_bytes(8, "big") + owner.encode()


def key_id(key):
    return hashlib.sha256(key).digest()[:4]


def sealed_bytes(key, nonce, plaintext, purpose=b"ticket\0", version=1):
    head = bytes([version]) + key_id(key)
    return head + nonce + AESGCM(key).encrypt(nonce, plaintext, head + purpose)


def text_of(sealed):
    return urlsafe_b64encode(sealed).decode().rstrip("=")
