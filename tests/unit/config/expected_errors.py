"""A row of a table of bad configurations, and what its message must be."""

import pytest

from wabawatch.errors import ConfigurationError

TARGET = "targets: [{id: a, api_key: env:A_KEY}]\n"


def row(name, text, field, advice):
    """The line that is wrong ends in `# here`."""
    return pytest.param(text, field, advice, id=name)


def assert_told(loaded, text, field, advice):
    """One line: the file, the number of the line that is wrong, the field, and what to write."""
    line = next(number for number, one in enumerate(text.splitlines(), 1) if one.endswith("# here"))
    with pytest.raises(ConfigurationError) as refused:
        loaded(text)
    message = str(refused.value)
    assert message.startswith(f"watch.yaml:{line}: {field}: ")
    assert advice in message
    assert "\n" not in message
