"""For all tests: the machine may be busy, so that no example fails for being slow."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
