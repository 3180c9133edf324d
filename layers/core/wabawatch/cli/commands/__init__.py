"""The commands, one module each, named as typed; loaded when a command is chosen."""
