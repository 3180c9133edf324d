"""Save and load the bodies of rows: large ones in chunks; those that cannot be decoded are set aside."""
