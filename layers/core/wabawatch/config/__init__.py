"""The configuration: its model, its validation, and its text."""

from wabawatch.config.dump import canonical_json, effective
from wabawatch.config.loading import default_settings, load
from wabawatch.config.model import Destination, Heartbeat, Settings, Source
from wabawatch.config.parameters import deployment, usual_heartbeat, usual_history

__all__ = [
    "Destination", "Heartbeat", "Settings", "Source", "canonical_json", "default_settings", "deployment", "effective",
    "load", "usual_heartbeat", "usual_history",
]  # fmt: skip
