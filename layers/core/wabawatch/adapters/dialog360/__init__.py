"""The health source: 360dialog's `GET /health_status`, asked for many numbers at once."""

from wabawatch.adapters.dialog360.settings import Settings
from wabawatch.adapters.dialog360.source import Dialog360Source, KeyRing

__all__ = ["Dialog360Source", "KeyRing", "Settings"]
