"""A process that is killed while it writes: what it said was written is there, and nothing is there by half."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import pytest

from wabawatch.adapters.stores.sqlite import SqliteStore

WRITER = """
import sys
from tests.contract.stores.values import change, incident, later
from wabawatch.adapters.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
names = [f"t{number}" for number in range(20)]
version = max((one.version for one in store.every_snapshot()), default=0)
while True:
    version += 1
    seqs = (2 * version - 1, 2 * version)
    assert all(store.commit([change(name, version, version, seqs) for name in names]))
    print(f"committed {version}", flush=True)
    pending = store.pending(1000)
    known = store.incident("i")
    following = later(known, changed_at=pending[-1].at) if known else incident("i", changed_at=pending[-1].at)
    assert store.save_incidents([following]) == [True]
    print(f"saved {following.version}", flush=True)
    store.mark_folded(pending)
    print(f"folded {version}", flush=True)
"""


def write_until_killed(path, root, lines):
    """Kill a writer once it has said so many lines; what it said, by word, at the latest."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=root)
    said = [writer.stdout.readline() for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    said += writer.stdout.readlines()
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    return {word: int(number) for word, number in (line.split() for line in said if line.endswith("\n"))}


@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_was_written_is_lost_and_nothing_is_there_by_half(tmp_path, request, seed):
    path = tmp_path / "state.db"
    dice = random.Random(seed)  # noqa: S311  # picks a moment
    for _ in range(3):
        said = write_until_killed(path, request.config.rootpath, dice.randint(1, 40))
        store = SqliteStore(path)
        snapshots = store.every_snapshot()
        (version,) = {one.version for one in snapshots}
        assert len(snapshots) == 20
        assert version - said["committed"] in {0, 1}
        for one in snapshots:
            assert one.seq == 2 * version
            assert [each.seq for each in store.history(one.target, limit=10_000)] == list(range(one.seq, 0, -1))
            assert len(store.observations(one.target, limit=10_000)) == version
        assert len(store.pending(10_000)) % 40 == 0
        assert "saved" not in said or store.incident("i").version - said["saved"] in {0, 1}
        store.close()
