"""Wabawatch monitors the messaging health of WhatsApp Business numbers and alerts the people who must act."""

__version__ = "0.1.0"
