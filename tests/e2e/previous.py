"""The tree of the artefact before the present one, for an update and the way back."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.e2e.emulator import ROOT

COMMIT = "444d2193599cc2cb13f5eb4eb86594c5f39d1b91"
"""An earlier commit, to which a rollback must be possible. Raise it when a change to the stored rows forbids that."""
_ENVIRONMENTS = (".venv", ".venv-sam")
_REQUIREMENTS = ("pyproject.toml", "requirements/run.txt", "requirements/dev.txt", "requirements/sam.txt")
"""What the environments were made of at that commit: they are not to be made anew."""
_LONG_AGO = 1_000_000_000.0
"""Seconds since 1970, and a time that a ZIP file can hold."""
_WHEELS = ".aws-sam/wheels"
"""What the layer is built of; fetched once."""
_NOT_COPIED = (".venv*", ".git", ".aws-sam", ".*_cache", "__pycache__")


def previous_tree(folder: Path) -> Path:
    """Make the tree in a new folder: that of COMMIT, or, in a clone that does not reach back to it, the present tree
    under another version. The environments are shared with this tree."""
    archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode == 0:
        folder.mkdir()
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        for name in _REQUIREMENTS:
            os.utime(folder / name, (_LONG_AGO, _LONG_AGO))
    else:
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        with (folder / "layers/core/wabawatch/__init__.py").open("a") as module:
            module.write('__version__ = "0.0.0"\n')
        (folder / _WHEELS).parent.mkdir()
        (folder / _WHEELS).symlink_to(ROOT / _WHEELS)
    for name in _ENVIRONMENTS:
        (folder / name).symlink_to(ROOT / name)
    return folder
