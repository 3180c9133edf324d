"""For all tests: the machine may be busy, so that no example fails for being slow."""

from collections import Counter

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_terminal_summary(terminalreporter):
    """Print how many cases the tests that try many of them have tried: what they recorded as `proved`."""
    counts = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "proved":
                what, number = value
                counts[what] += number
    if counts:
        terminalreporter.line("tried: " + ", ".join(f"{number:,} {what}" for what, number in counts.items()))
