"""Run by `make test-layer` alone, before the tests that it repeats: whether they really see the layer's pins."""

from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_what_is_imported_is_what_the_layer_brings():
    lines = (ROOT / "layers/core/requirements.txt").read_text().splitlines()
    pins = dict(line.rstrip(" \\").split("==") for line in lines if "==" in line)
    assert pins
    assert {name: version(name) for name in pins} == pins
