"""Where something may be sent to: one rule for every URL, written out or behind a reference."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its name or address alone: nothing is looked up."""
    with suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


def host_of(url: str) -> str:
    """The host of a URL, in lower case; empty for what is no URL."""
    with suppress(ValueError):
        return urlsplit(url).hostname or ""
    return ""


def explain_bad_url(url: str) -> str | None:
    """Say why nothing may be sent to this URL, or None. The answer holds none of it: it may be a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not host or port == 0 or not is_plain or parts.scheme not in {"http", "https"}:
        return "not a URL; write https://host/path"
    if "@" in parts.netloc:
        return "the URL holds a user name or password; write it without, https://host/path"
    if parts.scheme == "http" and not is_loopback(host):
        return "http would send secrets in the clear; write https:// (http only for 127.0.0.1 and localhost)"
    return None
