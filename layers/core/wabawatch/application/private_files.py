"""Create files that only their owner can read, at places where another user may have put a file or link before."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

OWNERS_FILE: Final = 0o600
OWNERS_FOLDER: Final = 0o700


def make_folders(path: Path) -> None:
    """Make a folder and its missing parents, for the owner only."""
    for folder in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
        folder.mkdir(OWNERS_FOLDER, exist_ok=True)


def explain_foreign(path: Path) -> str | None:
    """Return why an existing file is not used (a link, or another user's file), or None."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "this is a symbolic link: name the file that it leads to, or remove it"
    if found.st_uid != os.geteuid():
        return (
            f"this file belongs to another user (uid {found.st_uid}): run Wabawatch as that user, name another file, or"
            " give this one to the user that runs Wabawatch (chown)"
        )
    return None


def explain_exposed(path: Path) -> tuple[str, str] | None:
    """Return what others than the owner may do with a file, and the command that ends it; None where they may do
    nothing."""
    mode, folder = path.stat().st_mode, path.parent.stat().st_mode
    if mode & 0o077:
        return f"others than its owner may open {path} (mode {stat.S_IMODE(mode):04o})", f"chmod go= {path}"
    if folder & 0o022 and not folder & stat.S_ISVTX:
        return (
            f"others may replace {path} (its folder has mode {stat.S_IMODE(folder):04o})",
            f"chmod go-w {path.parent}",
        )
    return None


def write_files(folder: Path, files: Mapping[str, str], *, closed: bool = False) -> None:
    """Write files by their names into a folder, which is made where it is missing; each file is replaced atomically.

    The folder must belong to the user, and not be a link; `closed` removes the permissions of all others. A link at a
    file's name is replaced, and never followed. Raises OSError."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link", str(folder))
    make_folders(folder)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(opened).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "the folder belongs to another user", str(folder))
        if closed:
            os.fchmod(opened, OWNERS_FOLDER)
        for name, content in files.items():
            _replace(opened, name, content)
    finally:
        os.close(opened)


def _replace(folder: int, name: str, content: str) -> None:
    new = f".{secrets.token_hex(8)}"
    file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, OWNERS_FILE, dir_fd=folder)
    try:
        with os.fdopen(file, "w", encoding="utf-8") as text:
            text.write(content)
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(new, dir_fd=folder)
        raise
