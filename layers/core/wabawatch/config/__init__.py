"""The configuration: its model, its validation, and its text."""

from wabawatch.config.destinations import Destination
from wabawatch.config.dump import canonical_json, effective
from wabawatch.config.from_env import deployment, usual_heartbeat, usual_history
from wabawatch.config.loading import default_settings, load
from wabawatch.config.model import Heartbeat, Settings, Source

__all__ = [
    "Destination", "Heartbeat", "Settings", "Source", "canonical_json", "default_settings", "deployment", "effective",
    "load", "usual_heartbeat", "usual_history",
]  # fmt: skip
