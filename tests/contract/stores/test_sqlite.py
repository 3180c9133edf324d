"""What holds for the SQLite store only: its file, its processes, its schema."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.contract.stores.builders import (
    acknowledgement,
    at,
    change,
    folded,
    incident,
    key,
    member_row,
    pending,
    resolved,
    run,
    silence,
)
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.adapters.stores.sqlite_database import MIGRATIONS, VERSION
from wabawatch.application.ports import FoldBatch, Outcome
from wabawatch.domain.health import Reason
from wabawatch.errors import SchemaError, StoreError

WRITTEN, CONFLICT, REFUSED = Outcome.WRITTEN, Outcome.CONFLICT, Outcome.REFUSED


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def sqlite(path):
    store = SqliteStore(path)
    yield store
    store.close()


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_folders_and_files_are_made_for_their_owner_only(tmp_path):
    store = SqliteStore(tmp_path / "some" / "where" / "state.db")
    store.commit([change("a")])
    files = list((tmp_path / "some" / "where").iterdir())
    assert len(files) == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert {folder.stat().st_mode & 0o777 for folder in (tmp_path / "some", tmp_path / "some" / "where")} == {0o700}
    store.close()


@pytest.mark.parametrize("leads_somewhere", [True, False])
def test_a_symbolic_link_is_refused_with_what_to_do(tmp_path, path, leads_somewhere):
    aim = tmp_path / "aim.db"
    if leads_somewhere:
        SqliteStore(aim).close()
    path.symlink_to(aim)
    with pytest.raises(StoreError, match=rf"^{path}: .*symbolic link: name the file"):
        SqliteStore(path)
    assert aim.exists() is leads_somewhere


def test_a_file_of_another_user_is_refused_with_what_to_do(path, monkeypatch):
    SqliteStore(path).close()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(StoreError, match=rf"^{path}: .*another user \(uid {path.stat().st_uid}\).*chown"):
        SqliteStore(path)


def test_opening_a_file_again_ends_no_lock_of_this_process(path):
    """POSIX drops all locks of a process on a file as soon as the process closes any descriptor of it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another process holds"):
            SqliteStore(path, wait=timedelta(milliseconds=1))
        probe = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        done = subprocess.run([sys.executable, "-c", probe, str(path)], capture_output=True, text=True, check=False)
        assert "database is locked" in done.stderr


def test_state_outlives_its_process(path):
    for version in (1, 2, 3):
        store = SqliteStore(path)
        assert store.commit([change("a", version, version)]) == [WRITTEN]
        store.close()


def test_the_file_is_written_ahead_and_knows_its_version(sqlite, path):
    sqlite.commit([change("a")])
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.close()


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_database_of_every_earlier_version_is_brought_up(path, version):
    with sqlite3.connect(path) as connection:
        for script in MIGRATIONS[:version]:
            connection.executescript(script)
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    store = SqliteStore(path)
    assert store.commit([change("a", seqs=(1,))]) == [WRITTEN]
    store.close()


def test_a_database_of_a_later_version_is_refused_in_one_clear_sentence(path):
    SqliteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(SchemaError) as refusal:
        SqliteStore(path)
    assert str(path) in str(refusal.value)
    assert f"version {VERSION + 1}" in str(refusal.value)
    assert "upgrade Wabawatch" in str(refusal.value)


def test_somebody_elses_database_is_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    with pytest.raises(StoreError, match="not made by Wabawatch"):
        SqliteStore(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    connection.close()


def test_a_file_that_is_no_database_is_named_with_what_to_do(path):
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError) as refusal:
        SqliteStore(path)
    assert str(path) in str(refusal.value)
    assert "restore a copy" in str(refusal.value)
    assert path.read_bytes().startswith(b"not a database")


def test_a_damaged_database_is_named_with_what_to_do(path):
    store = SqliteStore(path)
    store.commit([change(f"t{position}", seqs=(1,)) for position in range(300)])
    store.close()
    content = path.read_bytes()
    path.write_bytes(content[:8192] + bytes(len(content) - 8192))
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="damaged"):
        store.history(limit=1000)
    store.close()


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(StoreError) as refusal:
        SqliteStore(tmp_path)
    assert str(tmp_path) in str(refusal.value)
    assert "check the path" in str(refusal.value)


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="check the path"):
        SqliteStore(tmp_path / "file" / "state.db")


def test_a_place_where_nobody_may_write_is_named():
    with pytest.raises(StoreError, match=r"^/proc/nowhere/state\.db: .*permissions"):
        SqliteStore("/proc/nowhere/state.db")


def test_a_database_that_another_process_holds_is_named_after_a_wait(path):
    SqliteStore(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    waiting = SqliteStore(path, wait=timedelta(milliseconds=20))
    with pytest.raises(StoreError) as refusal:
        waiting.commit([change("a")])
    assert str(path) in str(refusal.value)
    assert "another process holds" in str(refusal.value)
    holder.execute("ROLLBACK")
    assert waiting.commit([change("a")]) == [WRITTEN]
    holder.close()
    waiting.close()


def test_readers_do_not_wait_for_a_writer(sqlite, path):
    sqlite.commit([change("a", seqs=(1,))])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert len(sqlite.pending(10)) == 1
    holder.close()


def test_a_closed_store_says_so(path):
    store = SqliteStore(path)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.pending(1)


def test_threads_take_turns(sqlite):
    outcomes = []

    def commit(number):
        outcomes.append(sqlite.commit([change("shared"), change(f"t{number}")]))

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [[CONFLICT, WRITTEN]] * 7 + [[WRITTEN, WRITTEN]]


RACER = """
import sys
from tests.contract.stores.builders import change
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.application.ports import Outcome
store = SqliteStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
won = 0
for version in range(1, 41):
    for target in ("a", "b", "c"):
        outcome = store.commit([change(target, version, version, (version,))])
        won += outcome == [Outcome.WRITTEN]
store.close()
print(won, flush=True)
"""


def test_of_two_processes_that_race_for_a_version_one_wins(path, request):
    """Both open a file that is not there yet, and then each commits every version as soon as it can."""
    command = [sys.executable, "-c", RACER, str(path)]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=request.config.rootpath)
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    store = SqliteStore(path)
    assert sum(won) == sum(found.version for found in store.every_snapshot())
    for target in "abc":
        version = store.snapshots([target])[target].version
        assert [one.seq for one in store.history(target)] == list(range(version, 0, -1))
    store.close()


CROWDED = """
import resource, signal, sys
from pathlib import Path
from tests.contract.stores.builders import change, folded, incident, member_row
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.errors import StoreError
from wabawatch.application.ports import FoldBatch, Outcome

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = SqliteStore(sys.argv[1])
log = Path(sys.argv[1] + "-wal")
names = [f"t{number:03}" for number in range(200)]
assert set(store.commit([change(name, seqs=(1,)) for name in names])) == {Outcome.WRITTEN}
changes = [change(name, 2, 5, (2,)) for name in names]
rows = tuple(member_row("i", name) for name in names)
batch = FoldBatch((incident("i"),), rows, tuple(map(folded, changes)))
resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + int(sys.argv[2]), resource.RLIM_INFINITY))
for write in (
    lambda: store.commit(changes),
    lambda: store.fold(batch),
    lambda: store.save_document("large", bytes(9_000_000)),
):
    try:
        write()
        print("written")
    except StoreError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert {one.version for one in store.every_snapshot()} == {1}
assert len(store.pending(1000)) == 200
assert list(store.members("i")) == []
assert store.document("large") is None
assert set(store.commit(changes)) == {Outcome.WRITTEN}
assert store.fold(batch) is Outcome.WRITTEN
assert len(store.pending(1000)) == 200
print("goes on")
"""


@pytest.mark.parametrize("room", [0, 100, 9000, 20_000])
def test_a_full_disk_is_one_clear_error_and_the_store_goes_on_when_there_is_room(path, request, room):
    """A file may not grow any more, in the middle of a transaction or at its end: nothing of it is left."""
    command = [sys.executable, "-c", CROWDED, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=request.config.rootpath)
    assert done.stderr == ""
    *errors, end = done.stdout.splitlines()
    assert end == "goes on"
    assert len(errors) == 3
    for error in errors:
        assert error.startswith(f"{path}: ")
        assert "disk" in error


def test_what_cannot_be_held_is_refused_and_leaves_nothing(sqlite):
    too_long = Reason(2**70, "a number of more than 64 bits")
    made = change("huge", seqs=(1,))
    huge = msgspec.structs.replace(
        made, transitions=(msgspec.structs.replace(made.transitions[0], reasons=(too_long,)),)
    )
    half = change("half a character \ud800")
    assert sqlite.commit([change("a"), huge, half, change("z")]) == [WRITTEN, REFUSED, REFUSED, WRITTEN]
    assert [one.target for one in sqlite.every_snapshot()] == ["a", "z"]
    assert sqlite.pending(10) == []
    assert sqlite.observations("huge") == []


def test_a_second_change_at_one_instant_is_refused_and_does_not_replace_what_is_pending(sqlite):
    first = change("a", seqs=(1,))
    sqlite.commit([first])
    assert sqlite.commit([change("a", 2, 0, (2,))]) == [REFUSED]
    assert sqlite.pending(10) == [pending(first)]
    assert sqlite.snapshots(["a"])["a"].version == 1


def test_incidents_and_folds_that_cannot_be_held_are_refused(sqlite):
    huge = incident("huge", "1", reasons=(Reason(2**70),))
    assert sqlite.save_incidents([huge, incident("i", "2")]) == [REFUSED, WRITTEN]
    made = change("a", seqs=(1,))
    sqlite.commit([made])
    assert sqlite.fold(FoldBatch((incident("j", "3"), huge), (member_row("j", "a"),), (folded(made),))) is REFUSED
    assert sqlite.pending(10) == [pending(made)]
    assert sqlite.incident("j") is None
    assert list(sqlite.members("j")) == []
    assert sqlite.generations([key("1"), key("3")]) == {}


SETTER = """
import sys
from tests.contract.stores.builders import at
from wabawatch.adapters.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
print(len(store.pending(1)), len(store.set_aside(at(0))))
store.close()
"""


def test_what_one_process_set_aside_another_lists(sqlite, path, request):
    sqlite.commit([change("bad", seqs=(1,))])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE pending_changes SET body = x'01c1'")
    command = [sys.executable, "-c", SETTER, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=request.config.rootpath)
    assert done.stdout == "0 1\n"
    assert sqlite.pending(10) == []
    assert [one.kind for one in sqlite.set_aside(at(0))] == ["pending change"]


@pytest.mark.parametrize(
    ("read", "index"),
    [
        pytest.param(lambda store: store.open_incidents("a", 5), "incidents_open", id="open incidents"),
        pytest.param(lambda store: store.due_incidents(at(5), 5), "incidents_due", id="due incidents"),
        pytest.param(lambda store: store.incidents(5), "incidents_by_time", id="incidents"),
        pytest.param(lambda store: store.latest_incidents([key()]), "SEARCH latest_incidents", id="latest incidents"),
        pytest.param(lambda store: store.runs(5), "runs_by_time", id="runs"),
        pytest.param(lambda store: store.pending(5), "SCAN pending_changes", id="pending"),
        pytest.param(lambda store: store.history(limit=5), "log_by_time", id="history"),
        pytest.param(lambda store: store.history("a", at(1), at(9)), "SEARCH log USING PRIMARY KEY", id="a target's"),
        pytest.param(lambda store: store.observations("a"), "SEARCH log USING PRIMARY KEY", id="observations"),
        pytest.param(lambda store: list(store.members("i")), "SEARCH members USING PRIMARY KEY", id="members"),
        pytest.param(lambda store: list(store.every_snapshot()), "SEARCH snapshots", id="every snapshot"),
        pytest.param(lambda store: store.purge(at(0)), "incidents_done", id="purge"),
    ],
)
def test_what_is_read_in_each_round_is_read_by_an_index_and_never_sorted(sqlite, path, read, index):
    statements = []
    sqlite._database._connection.set_trace_callback(statements.append)
    read(sqlite)
    with closing(sqlite3.connect(path)) as connection:
        asked = [each for each in statements if each.startswith(("SELECT", "DELETE"))]
        plan = " ".join(row[3] for each in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {each}"))
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_purging_forgets_what_is_over_and_says_how_many_rows_went(sqlite):
    made = change("a", seqs=(1, 2))
    sqlite.commit([made])
    sqlite.fold(FoldBatch((incident("done"),), (member_row("done", "a"), member_row("open", "a")), (folded(made),)))
    sqlite.save_run(run("old"))
    sqlite.save_incidents([resolved(incident("done"), 5)])
    sqlite.save_silence(silence("ended", 60))
    sqlite.save_acknowledgement(acknowledgement("done"))
    assert sqlite.purge(at(100)) == 6
    assert sqlite.history() == []
    assert sqlite.observations("a") == []
    assert sqlite.runs(10) == []
    assert sqlite.incidents(10) == []
    assert list(sqlite.members("done")) == []
    assert [target for target, _ in sqlite.members("open")] == ["a"]
    assert sqlite.silences() == []
    assert sqlite.acknowledgements() == {}


def test_the_number_of_a_purged_incident_goes_on(sqlite):
    sqlite.save_incidents([incident("first"), incident("second", generation=2)])
    sqlite.save_incidents([resolved(incident("second", generation=2), 5)])
    sqlite.purge(at(100))
    assert sqlite.latest_incidents([key()]) == {}
    assert sqlite.generations([key()]) == {key(): 2}
    assert sqlite.save_incidents([incident("again", generation=2)]) == [CONFLICT]
    assert sqlite.save_incidents([incident("third", generation=3)]) == [WRITTEN]


def test_what_was_set_aside_is_purged_in_its_time(sqlite):
    made = change("a", seqs=(1,))
    sqlite.commit([made])
    sqlite.set_aside_change(pending(made), "no")
    sqlite.purge(at(100))
    assert len(sqlite.set_aside(at(0))) == 1
    sqlite.purge(datetime.now(UTC) + timedelta(days=1))
    assert sqlite.set_aside(at(0)) == []
