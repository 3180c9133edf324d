"""A process that is killed while it writes: what it said was written is there, and nothing is there by half."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import pytest

from tests.contract.stores.builders import at
from wabawatch.adapters.stores.sqlite import SqliteStore

WRITER = """
import sys
from tests.contract.stores.builders import at, change, incident, member_row
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.application.ports import FoldBatch, Outcome
store = SqliteStore(sys.argv[1])
names = [f"t{number}" for number in range(20)]
version = max((one.version for one in store.every_snapshot()), default=0)
while True:
    version += 1
    seqs = (2 * version - 1, 2 * version)
    outcomes = store.commit([change(name, version, version, seqs) for name in names])
    assert set(outcomes) == {Outcome.WRITTEN}
    print(f"committed {version}", flush=True)
    known = store.incident("i")
    pending = store.pending(1000)
    following = incident("i", version=known.version + 1 if known else 1, changed_at=pending[-1].at)
    rows = tuple(member_row("i", name, following.version) for name in names)
    batch = FoldBatch((following,), rows, tuple((one, one.transitions[-1].seq) for one in pending))
    assert store.fold(batch) is Outcome.WRITTEN
    print(f"folded {following.version}", flush=True)
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
        snapshots = list(store.every_snapshot())
        (version,) = {one.version for one in snapshots}
        assert len(snapshots) == 20
        assert version - said["committed"] in {0, 1}
        for one in snapshots:
            assert one.seq == 2 * version
            assert [each.seq for each in store.history(one.target, limit=10_000)] == list(range(one.seq, 0, -1))
            assert len(store.observations(one.target, limit=10_000)) == version
        pending = store.pending(10_000)
        assert len(pending) in {0, 20}
        assert {len(one.transitions) for one in pending} <= {2}
        assert_folded_whole(store, pending, said)
        store.close()


def assert_folded_whole(store, pending, said):
    """The incident, its members and what is pending are of one and the same fold."""
    incident = store.incident("i")
    folds = incident.version if incident else 0
    assert folds - said.get("folded", folds) in {0, 1}
    members = dict(store.members("i"))
    assert {member.since for member in members.values()} == ({at(folds)} if folds else set())
    assert len(members) == (20 if folds else 0)
    if incident and pending:
        assert incident.changed_at < pending[0].at
