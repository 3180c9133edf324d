"""The table of defects fits the code as it is now, and the tool tells what applies from what does not."""

import subprocess
import sys

import pytest

from tools import defects
from tools.defects import ROOT, Defect, Edit, PatchError

DEFECTS = defects.load_defects()


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_patch_applies_exactly_once_and_names_tests_that_exist(defect):
    for path, text in defects.patch(defect, ROOT).items():
        compile(text, str(path), "exec")
        assert text != path.read_text()
    assert defect.harm
    for test in defect.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), file
        assert not name or f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), name


def test_a_patch_uses_only_names_that_exist(tmp_path):
    """A NameError would be noticed by any test, and prove nothing."""
    for number, defect in enumerate(DEFECTS):
        for path, text in defects.patch(defect, ROOT).items():
            (tmp_path / f"{path.stem}_{number}.py").write_text(f"# {defect.name}\n{text}")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F821,F823", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([Edit("code.py", "three", "")], "found 0 times instead of once in code.py: 'three'"),
        ([Edit("code.py", "one", "")], "found 2 times instead of once in code.py: 'one'"),
        ([Edit("other.py", "one", "")], "there is no file other.py"),
    ],
    ids=["no such text", "a text that stands there twice", "no such file"],
)
def test_a_patch_that_does_not_apply_says_why(edits, expected, tmp_path):
    (tmp_path / "code.py").write_text("one two one\n")
    with pytest.raises(PatchError, match="broken") as error:
        defects.patch(Defect("broken", "", (), tuple(edits)), tmp_path)
    assert str(error.value) == f"broken: {expected}"


TEST = """
from code_under_test import answer

def test_answer():
    assert answer() == 42
"""


@pytest.mark.parametrize(
    ("new", "noticed_by", "error"),
    [
        ("return 41", "test_code.py::test_answer", ""),
        ("return 40 + 2", "", ""),
        ("return (", "", "pytest ended with 2"),
    ],
    ids=["a defect", "no defect", "a patch that is no code"],
)
def test_a_defect_is_tried_and_taken_out_again(new, noticed_by, error, tmp_path):
    package = tmp_path / "layers" / "core"
    package.mkdir(parents=True)
    code = package / "code_under_test.py"
    code.write_text("def answer():\n    return 42\n")
    (tmp_path / "test_code.py").write_text(TEST)
    defect = Defect("wrong", "", ("test_code.py",), (Edit("layers/core/code_under_test.py", "return 42", new),))
    result = defects.seed(defect, tmp_path)
    assert (result.noticed_by, result.error[: len(error) or None]) == (noticed_by, error)
    assert code.read_text() == "def answer():\n    return 42\n"


def test_tests_that_fail_without_a_defect_are_named(tmp_path):
    (tmp_path / "test_code.py").write_text("def test_answer():\n    assert False\n")
    with pytest.raises(defects.SuiteError, match=r"these tests fail without any defect: test_code\.py::test_answer"):
        defects.check_unpatched(tmp_path, [Defect("wrong", "", ("test_code.py",), ())])


def test_a_package_from_elsewhere_is_refused(tmp_path):
    with pytest.raises(defects.SuiteError, match="the tests would import"):
        defects.check_import(tmp_path)
