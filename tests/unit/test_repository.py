"""What lies beside the code: pins, documents, and the commands that they give."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = ["requirements/run.txt", "requirements/dev.txt", "requirements/sam.txt", "layers/core/requirements.txt"]


@pytest.mark.parametrize("name", PINS)
def test_everything_pinned_has_its_version_and_hashes_and_names_no_host(name):
    text = "\n".join(line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#"))
    pins = re.split(r"\n(?=\S)", text)
    assert len(pins) > 10
    pin = r"[a-z0-9-]+==[0-9A-Za-z.]+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n?"
    assert [one for one in pins if not re.fullmatch(pin, one)] == []


def test_the_layer_leaves_boto3_to_the_runtime_and_the_command_line_out():
    pins = (ROOT / "layers/core/requirements.txt").read_text()
    assert not set(re.findall(r"^([a-z0-9-]+)==", pins, re.MULTILINE)) & {"boto3", "botocore", "click", "rich"}


def test_what_builds_the_package_is_pinned_with_the_rest():
    for name in ("run", "dev"):
        assert re.search("^setuptools==", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE)
