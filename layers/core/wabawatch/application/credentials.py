"""Secrets, and what an API key and a URL that secrets are sent to must look like, wherever they were kept."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

MIN_KEY_LENGTH: Final = 8
"""A shorter value is part of ordinary words, which redacting it would garble."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,4096}")


class Secret(str):
    """The value of a secret. Its repr, and so that of whatever holds it, never shows the value; `str` does, for the
    request that needs it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"


def explain_bad_key(key: str) -> str | None:
    """Return why a value cannot be an API key, and what to do, or None. The text holds none of the value."""
    if not _KEY.fullmatch(key):
        return (
            "what it holds is no API key: a key is letters, digits and signs without spaces, line breaks or accents; "
            "store the key alone"
        )
    if len(key) < MIN_KEY_LENGTH:
        return (
            f"what it holds is too short for an API key, which has at least {MIN_KEY_LENGTH} characters; "
            "store the whole key"
        )
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or address alone; does not resolve names."""
    with suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


def host_of(url: str) -> str:
    """Return the host of a URL in lower case, "" for anything else."""
    with suppress(ValueError):
        return urlsplit(url).hostname or ""
    return ""


def explain_bad_url(url: str) -> str | None:
    """Return why nothing may be sent to this URL, or None. The text holds nothing of the URL, which may be a secret."""
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
