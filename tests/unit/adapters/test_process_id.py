from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wabawatch.adapters import process
from wabawatch.adapters.process import is_dead, new_process_id

PRINT = "from wabawatch.adapters.process import new_process_id; print(new_process_id())"
UNSHARE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")


def owner_of(*command):
    """The owner's name in a process that has ended."""
    done = subprocess.run([*command, sys.executable, "-c", PRINT], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def renamed(**parts):
    """This process's own name with other parts."""
    names = ("host", "boot", "space", "pid", "nonce")
    return ":".join((dict(zip(names, new_process_id().split(":"), strict=True)) | parts).values())


def test_a_living_process_is_not_dead():
    assert not is_dead(new_process_id())


def test_a_process_that_ended_is_dead():
    assert is_dead(owner_of())


@pytest.fixture
def ended():
    """The number of a process that is no more."""
    return owner_of().split(":")[3]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"host": "elsewhere"}, id="another host's"),
        pytest.param({"boot": "00000000-0000-0000-0000-000000000000"}, id="of another machine of this host's name"),
        pytest.param({"space": "1"}, id="of another container on this host"),
        pytest.param({"pid": "x"}, id="no number"),
        pytest.param({"pid": "0"}, id="this process's group"),
        pytest.param({"pid": "-5"}, id="a group"),
        pytest.param({"pid": "9" * 30}, id="beyond all numbers"),
        pytest.param({"pid": "9" * 5000}, id="beyond what can be read"),
    ],
)
def test_a_process_that_cannot_be_looked_for_counts_as_alive(ended, parts):
    assert is_dead(renamed(pid=ended))
    assert not is_dead(renamed(**{"pid": ended} | parts))


@pytest.mark.parametrize("owner", ["", "me", "lambda-7f", "elsewhere:1:ab", "::::", "{own}:more"])
def test_a_name_of_another_form_counts_as_alive(owner):
    assert not is_dead(owner.format(own=owner_of()))


def test_where_there_is_no_proc_the_host_and_the_number_must_do(ended, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_PROC", tmp_path)
    assert new_process_id().split(":")[1:4] == ["", "", str(os.getpid())]
    assert not is_dead(new_process_id())
    assert is_dead(renamed(pid=ended))


def can_unshare():
    if shutil.which("unshare") is None or not Path("/proc/self/ns/pid").exists():
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="no process namespace can be made here")
def test_a_process_in_a_container_of_this_host_counts_as_alive_and_so_do_we_in_there():
    assert not is_dead(owner_of(*UNSHARE))
    code = f"from wabawatch.adapters.process import is_dead; print(is_dead({new_process_id()!r}))"
    seen = subprocess.run([*UNSHARE, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout == "False\n"
