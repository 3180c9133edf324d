"""How a webhook's receiver knows that a notification is ours and fresh.

`X-Wabawatch-Signature: v1=` and the HMAC-SHA256, in hexadecimal, over the timestamp, a full stop, and the raw body; the
key is the secret that both sides share. `X-Wabawatch-Timestamp` is in seconds since 1970. A receiver computes the same
over what it got, compares in constant time, and refuses a timestamp that is more than five minutes off.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`v1=` and 64 hexadecimal digits."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def signed(secret: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers that prove a body sent at this instant."""
    timestamp = str(int(at.timestamp()))
    return {"X-Wabawatch-Timestamp": timestamp, "X-Wabawatch-Signature": signature(secret, timestamp, body)}
