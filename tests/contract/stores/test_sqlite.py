"""What holds for the SQLite store only: its file, its processes, its schema."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from tests.contract.stores.values import acknowledgement, at, change, incident, resolved, run, silence
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.adapters.stores.sqlite_schema import MIGRATIONS, VERSION
from wabawatch.application.errors import SchemaError, StoreError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def sqlite(path):
    store = SqliteStore(path)
    yield store
    store.close()


def test_folders_are_made_and_only_the_owner_can_read_the_file(tmp_path):
    store = SqliteStore(tmp_path / "some" / "where" / "state.db")
    store.commit([change("a")])
    files = list((tmp_path / "some" / "where").iterdir())
    assert len(files) == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    store.close()


def test_state_outlives_its_process(path):
    for version in (1, 2, 3):
        store = SqliteStore(path)
        assert store.commit([change("a", version, version)]) == [True]
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
    assert store.commit([change("a", seqs=(1,))]) == [True]
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
    assert waiting.commit([change("a")]) == [True]
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
    assert sorted(outcomes) == [[False, True]] * 7 + [[True, True]]


RACER = """
import sys
from tests.contract.stores.values import change
from wabawatch.adapters.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
won = 0
for version in range(1, 41):
    for target in ("a", "b", "c"):
        outcome = store.commit([change(target, version, version, (version,))])
        won += outcome[0]
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


def test_purging_forgets_what_is_over(sqlite):
    sqlite.commit([change("a", seqs=(1, 2))])
    sqlite.mark_folded(sqlite.pending(10))
    sqlite.save_run(run("old"))
    sqlite.save_incidents([incident("done")])
    sqlite.save_incidents([resolved(incident("done"), 5)])
    sqlite.save_silence(silence("ended", 60))
    sqlite.save_acknowledgement(acknowledgement("done"))
    assert sqlite.purge(at(100)) == 7
    assert sqlite.history() == []
    assert sqlite.observations("a") == []
    assert sqlite.runs(10) == []
    assert sqlite.incidents(10) == []
    assert sqlite.silences() == []
    assert sqlite.acknowledgements() == {}
