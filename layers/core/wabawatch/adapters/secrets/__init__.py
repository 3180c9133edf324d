"""Secrets: the configuration holds references, and this resolves them."""

from wabawatch.adapters.secrets.references import FORMS, Reference, parse_reference
from wabawatch.adapters.secrets.secrets import Secrets

__all__ = ["FORMS", "Reference", "Secrets", "parse_reference"]
