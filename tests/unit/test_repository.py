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


def test_every_test_that_the_security_page_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 20
    for file, name in named:
        assert (ROOT / file).is_file(), file
        assert not name or f"def {name}(" in (ROOT / file).read_text(), name


DOCUMENTS = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("examples/*"),
    *(ROOT / one for one in ("Makefile", "aws.mk", "template.yaml")),
    *ROOT.glob("layers/core/wabawatch/**/*.py"),
]
SECRET_OPTION = r"--(?:secret-string|value)\s+(?!file:///dev/stdin)\S+"
SECRET_VARIABLE = r'(?<!printf %s ")\$+\{?\w*(?:KEY|SECRET|TOKEN|PASSWORD|WEBHOOK_URL)\b(?!" ])'


def test_no_document_puts_a_secret_into_an_argument_list():
    """Every local user can read the arguments of a process; `printf` is the shell's own, and `[ … ]` too."""
    for path in DOCUMENTS:
        text = path.read_text()
        assert re.findall(f"{SECRET_OPTION}|{SECRET_VARIABLE}", text) == [], path
