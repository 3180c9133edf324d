"""What an API key looks like, wherever it was kept."""

from __future__ import annotations

import re
from typing import Final

SHORTEST_KEY: Final = 8
"""A shorter value is part of ordinary words, which redacting it would garble."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,4096}")


def explain_bad_key(key: str) -> str | None:
    """Return why a value cannot be an API key, and what to do, or None. The text holds none of the value."""
    if not _KEY.fullmatch(key):
        return (
            "what it holds is no API key: a key is letters, digits and signs without spaces, line breaks or accents; "
            "store the key alone"
        )
    if len(key) < SHORTEST_KEY:
        return (
            f"what it holds is too short for an API key, which has at least {SHORTEST_KEY} characters; "
            "store the whole key"
        )
    return None
