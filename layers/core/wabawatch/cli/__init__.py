"""The command line: `wabawatch`."""
