"""Break the code on purpose, one defect at a time, and check that the tests notice.

    python tools/defects.py [WORD …]

`defects.toml` lists the defects: small patches, each with the tests that must fail. Every patch is applied to a copy of
the tree; the working tree is never changed. WORDs select the defects whose names contain one of them.

Exit code 0: each defect was noticed. 1: one was not, a patch does not apply, or the tests fail without any patch.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TABLE: Final = Path(__file__).with_suffix(".toml")
_WORKERS: Final = 2
_TIMEOUT: Final = 180
"""Seconds for the tests of one defect."""
_FAILURE: Final = re.compile(r"^(?:FAILED|ERROR) (\S+\.py(?:::.+?)?)(?: - .*)?$", re.MULTILINE)
_PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
_TESTS_FAILED: Final = 1
"""The exit code of pytest; the higher ones mean that it could not run the tests."""


class PatchError(Exception):
    """A patch does not apply to the code as it is now."""


class SuiteError(Exception):
    """The tests could not be run."""


@dataclass(frozen=True)
class Edit:
    """Replace `old`, which stands in `file` exactly once, by `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Defect:
    """A defect: what goes wrong for people (`harm`), the patch, and the tests that must fail with it."""

    name: str
    harm: str
    tests: tuple[str, ...]
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Result:
    """How the tests took a defect. `noticed_by` is the first test that failed; empty: none did."""

    defect: Defect
    seconds: float
    noticed_by: str = ""
    error: str = ""


def load_defects(table: Path = TABLE) -> list[Defect]:
    """Read the table. Raises ValueError where two defects have the same name."""
    rows = tomllib.loads(table.read_text(encoding="utf-8"))["defect"]
    defects = [
        Defect(row["name"], row["harm"], tuple(row["tests"]), tuple(Edit(**edit) for edit in row["edit"]))
        for row in rows
    ]
    repeated = [name for name, count in Counter(defect.name for defect in defects).items() if count > 1]
    if repeated:
        raise ValueError(f"{table.name}: two defects are called {repeated[0]!r}")
    return defects


def patch(defect: Defect, root: Path) -> dict[Path, str]:
    """Return the patched text of each file; write nothing. Raises PatchError where an edit does not apply once."""
    texts: dict[Path, str] = {}
    for edit in defect.edits:
        path = root / edit.file
        if path not in texts and not path.is_file():
            raise PatchError(f"{defect.name}: there is no file {edit.file}")
        text = texts.get(path) or path.read_text(encoding="utf-8")
        count = text.count(edit.old)
        if count != 1:
            raise PatchError(f"{defect.name}: found {count} times instead of once in {edit.file}: {edit.old!r}")
        texts[path] = text.replace(edit.old, edit.new)
    return texts


def copy_tree(target: Path) -> Path:
    """Copy the project without what is hidden (virtual environments, caches, the repository)."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    return Path(shutil.copytree(ROOT, target, ignore=ignored, symlinks=True))


def run_tests(
    tree: Path, tests: Sequence[str], *options: str, bytecode: bool = False, timeout: float = _TIMEOUT
) -> tuple[bool, str]:
    """Run tests on a copy; return whether all passed, and the output. `bytecode`: keep it. Raises SuiteError."""
    try:
        done = subprocess.run(  # noqa: S603 - pytest, with test ids of our own table
            [*_PYTEST, *options, *tests],
            cwd=tree,
            env=_environment(tree, bytecode=bytecode),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise SuiteError(f"the tests did not end within {timeout:g} s") from error
    if done.returncode > _TESTS_FAILED:
        raise SuiteError(f"pytest ended with {done.returncode}: {done.stdout[-1500:]}{done.stderr[-500:]}")
    return done.returncode == 0, done.stdout


def _environment(tree: Path, *, bytecode: bool = False) -> Mapping[str, str]:
    """Import the copy's package. Patched code must leave no bytecode behind that outlives the patch."""
    dont_write = "" if bytecode else "1"
    return {**os.environ, "PYTHONPATH": str(tree / "layers/core"), "PYTHONDONTWRITEBYTECODE": dont_write}


def check_import(tree: Path) -> None:
    """Raise SuiteError unless tests in this copy import the copy's package."""
    command = [sys.executable, "-c", "import wabawatch; print(wabawatch.__file__)"]
    found = subprocess.run(  # noqa: S603 - as above
        command, cwd=tree, env=_environment(tree), capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(found).is_relative_to(tree):
        raise SuiteError(f"the tests would import {found}, not the copy in {tree}")


def seed(defect: Defect, tree: Path) -> Result:
    """Put one defect into a copy, run its tests, and take it out again."""
    began = time.monotonic()
    try:
        patched = patch(defect, tree)
        originals = {path: path.read_text(encoding="utf-8") for path in patched}
        try:
            _write(patched)
            passed, output = run_tests(tree, defect.tests, "-x")
        finally:
            _write(originals)
    except (PatchError, SuiteError) as error:
        return Result(defect, time.monotonic() - began, error=str(error))
    failure = None if passed else _FAILURE.search(output)
    return Result(defect, time.monotonic() - began, noticed_by=failure[1] if failure else "" if passed else "a test")


def _write(texts: Mapping[Path, str]) -> None:
    """Write sources, and remove their bytecode: it is known by size and second, which may be the same."""
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        Path(cache_from_source(str(path))).unlink(missing_ok=True)


def check_unpatched(tree: Path, defects: Sequence[Defect]) -> None:
    """Raise SuiteError unless all the named tests pass without a patch, and all the patches apply."""
    for defect in defects:
        try:
            patch(defect, tree)
        except PatchError as error:
            raise SuiteError(str(error)) from error
    tests = list(dict.fromkeys(test for defect in defects for test in defect.tests))
    passed, output = run_tests(tree, tests, "-n", str(_WORKERS), bytecode=True, timeout=_TIMEOUT * 2)
    if not passed:
        raise SuiteError(f"these tests fail without any defect: {', '.join(_FAILURE.findall(output)) or output}")


def seed_all(defects: Sequence[Defect], trees: Sequence[Path]) -> list[Result]:
    """Try each defect, as many at a time as there are copies, and print each result as it comes in."""
    free: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def work(defect: Defect) -> Result:
        tree = free.get()
        try:
            return seed(defect, tree)
        finally:
            free.put(tree)

    results = []
    with ThreadPoolExecutor(len(trees)) as pool:
        for future in as_completed([pool.submit(work, defect) for defect in defects]):
            results.append(future.result())
            print(describe(results[-1]), flush=True)
    return results


def describe(result: Result) -> str:
    """Say in one line how a defect was taken."""
    name, seconds = result.defect.name, f"{result.seconds:.1f} s"
    if result.error:
        return f"ERROR        {name}: {result.error}"
    if not result.noticed_by:
        return f"NOT NOTICED  {name} ({result.defect.harm}) {seconds}"
    return f"noticed      {name}: {result.noticed_by} {seconds}"


def main(words: Sequence[str]) -> int:
    """Return the exit code."""
    defects = [defect for defect in load_defects() if not words or any(word in defect.name for word in words)]
    if not defects:
        print("no defect has such a name", file=sys.stderr)
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="defects-") as folder:
        places = [Path(folder).resolve() / str(number) for number in range(_WORKERS)]
        trees = [copy_tree(places[0])]
        try:
            check_unpatched(trees[0], defects)
            trees += [Path(shutil.copytree(trees[0], place)) for place in places[1:]]  # with its bytecode
            for tree in trees:
                check_import(tree)
        except SuiteError as error:
            print(error, file=sys.stderr)
            return 1
        results = seed_all(defects, trees)
    noticed = sum(bool(result.noticed_by) for result in results)
    print(f"{noticed} of {len(defects)} defects were noticed, in {time.monotonic() - began:.0f} s")
    return 0 if noticed == len(defects) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
