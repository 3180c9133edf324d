"""Resolve the secret references of the configuration."""

from wabawatch.adapters.secrets.secrets import Secrets
from wabawatch.application.secret_reference import FORMS, Reference, parse_reference

__all__ = ["FORMS", "Reference", "Secrets", "parse_reference"]
