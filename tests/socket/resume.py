"""The resume protocol as a test needs it (spec/resume.md): tickets sealed as a gateway does, and a few frames."""

import base64
import hashlib
import os
import struct
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HELLO, RESUME, DETACH = 0x01, 0x03, 0x06
PROOF, COOKIE = 1, 2  # a ticket's kind
AGAIN = 1  # a DETACH's action


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def ticket(key, owner, kind=PROOF, expires_in=3600, session=None):
    """`key`: 32 bytes, of whom [keys] has the hex digits."""
    head = b"\x01" + hashlib.sha256(key).digest()[:4]
    nonce = os.urandom(12)
    plaintext = (session or os.urandom(16)) + struct.pack(">BQ", kind, int(time.time()) + expires_in) + owner.encode()
    return base64url(head + nonce + AESGCM(key).encrypt(nonce, plaintext, head + b"ticket\0"))


def frame(kind, body=b""):
    return struct.pack(">BBII", kind, 0, 0, 0) + body


def resume(sealed, epoch=2, received=0, proof=b"p" * 32):
    """A RESUME. Its proof is for its owner to judge, which nobody is here."""
    return frame(RESUME, struct.pack(">H", len(sealed)) + sealed.encode() + struct.pack(">IQ", epoch, received) + proof)


def on_tcp(one):
    return struct.pack(">I", len(one)) + one


def offer(sealed):
    """The field that resumes in the WebSocket handshake."""
    return ("Sec-WebSocket-Protocol", "rejoin.v1, rejoin.v1.resume." + base64url(resume(sealed)))


def detach(data):
    """A DETACH frame as (code, action, wait in ms, epoch, address); the reason is for people."""
    if len(data) < 10 or data[0] != DETACH:
        raise AssertionError(f"no DETACH: {data!r}")
    code, action, wait, epoch, length = struct.unpack(">HBIIH", data[10:23])
    return code, action, wait, epoch, data[23 : 23 + length].decode()
