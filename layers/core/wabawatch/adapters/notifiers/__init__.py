"""Notifiers: one module for each vendor's protocol, found through the registry."""
