"""How `run` reports: lines, JSON, or a live view on a terminal."""
