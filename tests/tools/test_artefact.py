"""A build for the wrong processor is refused, by the check alone and by `make deploy`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MACHINES = {"x86_64": 62, "arm64": 183, "riscv64": 243}


def library(machine):
    """The first bytes of a shared library: 64 bit, little endian."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + (3).to_bytes(2, "little") + machine.to_bytes(2, "little") + bytes(44)


@pytest.fixture
def build(tmp_path):
    """Makes a folder like that of `sam build`, with libraries for these processors."""

    def make(*architectures):
        folder = tmp_path / "built" / "CoreLayer" / "python" / "msgspec"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("# ELF")
        (folder / "empty.py").touch()
        for position, name in enumerate(architectures):
            (folder / f"_core{position}.so").write_bytes(library(MACHINES[name]))
        (tmp_path / "built" / "template.yaml").write_text("{}")
        return tmp_path / "built"

    return make


def check(folder, *architecture):
    command = [sys.executable, ROOT / "tools/artefact.py", folder, *architecture]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_a_build_for_the_processor_is_accepted(build, architecture):
    assert check(build(architecture, architecture), architecture) == (0, "")


@pytest.mark.parametrize(
    ("built", "wanted"),
    [
        pytest.param("arm64", "x86_64", id="arm64 for x86_64"),
        pytest.param("x86_64", "arm64", id="x86_64 for arm64"),
        pytest.param("riscv64", "arm64", id="a processor that Lambda has not"),
    ],
)
def test_one_library_for_another_processor_is_enough_to_refuse_a_build(build, built, wanted):
    code, said = check(build(wanted, built), wanted)
    assert code == 1
    assert "_core1.so" in said
    assert f"make build ARCHITECTURE={wanted}" in said
    assert said.count("\n") == 1


def test_a_folder_without_a_build_is_refused(build):
    code, said = check(build(), "arm64")
    assert (code, "run `make build`" in said) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("sparc",)])
def test_wrong_arguments_are_refused(build, arguments):
    code, said = check(build("arm64"), *arguments)
    assert (code, said) == (1, "usage: python tools/artefact.py FOLDER arm64|x86_64\n")


def deploy(folder, *given):
    """`make deploy` of a build, to a deployment on arm64, with a `sam` that prints what it is given."""
    stand_ins = ["DEPLOYMENT=echo arm64; : ", "SAM=echo sam", f"BIN={Path(sys.executable).parent}"]
    skipped = ["-o", ".venv-sam/.done", "-o", f"{Path(sys.executable).parent}/python", "-o", ".venv/.run"]
    command = ["make", *skipped, "deploy", f"ARTEFACT={folder}", *stand_ins, *given]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_make_deploy_gives_the_architecture_of_the_deployment_and_what_it_is_told(build):
    done = deploy(build("arm64"), "SECRET=wabawatch/key", "PARAMETERS=PollEvery=1m Architecture=x86_64")
    (sam,) = [line for line in done.stdout.splitlines() if line.startswith("sam deploy")]
    assert sam.split("--parameter-overrides ")[1].split() == [
        "Architecture=arm64",
        "ApiKeySecret=wabawatch/key",
        "PollEvery=1m",
    ]


def test_make_deploy_refuses_a_build_for_another_processor_and_deploys_nothing(build):
    done = deploy(build("x86_64"))
    assert done.returncode != 0
    assert "is built for x86_64" in done.stderr
    assert "sam deploy" not in done.stdout
