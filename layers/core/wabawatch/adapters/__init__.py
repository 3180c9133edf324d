"""The world behind the ports: 360dialog, stores, notifiers, secrets."""
