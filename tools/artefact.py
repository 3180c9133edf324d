"""Refuse a build whose native libraries are for another architecture than that of the functions.

Lambda accepts such a build, and then both functions fail at every start.

    python tools/artefact.py .aws-sam/build arm64

Exit code 0: all libraries match. 1: some do not, or the folder contains no build; standard error says what to do.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

ARCHITECTURES: Final = {62: "x86_64", 183: "arm64"}
"""As Lambda calls them, by `e_machine` of the ELF header (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html)."""


def read_architecture(path: Path) -> str | None:
    """Return the architecture of a native library; None if the file is not a native library."""
    with path.open("rb") as file:
        header = file.read(20)
    if header[:4] != b"\x7fELF":
        return None
    machine = int.from_bytes(header[18:20], "little" if header[5:6] == b"\x01" else "big")
    return ARCHITECTURES.get(machine, f"ELF machine {machine}")


def find_fault(folder: Path, architecture: str) -> str | None:
    """Return why this build must not be deployed for this architecture, and what to do; None if it may be deployed."""
    architectures = {path: read_architecture(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    native = {path: built_for for path, built_for in architectures.items() if built_for is not None}
    if not native:
        return f"{folder} contains no build of the functions: run `make build`"
    for path, built_for in native.items():
        if built_for != architecture:
            return (
                f"{folder} is built for {built_for} ({path.relative_to(folder)}), but the functions run on "
                f"{architecture}: build it with `make build ARCHITECTURE={architecture}`, or run "
                f"`make deploy ARCHITECTURE={built_for}` to move the functions"
            )
    return None


def main(arguments: list[str]) -> int:
    match arguments:
        case [folder, ("arm64" | "x86_64") as architecture]:
            fault = find_fault(Path(folder), architecture)
        case _:
            fault = "usage: python tools/artefact.py FOLDER arm64|x86_64"
    if fault:
        print(fault, file=sys.stderr)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
