"""The health source: 360dialog's `GET /health_status`, for many numbers concurrently."""

from wabawatch.adapters.dialog360.source import Dialog360Source, KeyRing, Settings

__all__ = ["Dialog360Source", "KeyRing", "Settings"]
