"""Wabawatch watches the messaging health of WhatsApp numbers and tells the people who must act."""

__version__ = "0.1.0"
