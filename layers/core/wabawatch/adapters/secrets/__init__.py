"""Secrets: the configuration holds references, and this resolves them."""

from wabawatch.adapters.secrets.secrets import Secrets
from wabawatch.application.credentials import FORMS, Reference, parse_reference

__all__ = ["FORMS", "Reference", "Secrets", "parse_reference"]
