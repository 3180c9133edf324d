"""The written configuration that monitors the simulator."""

import os
import stat

import pytest
import yaml

from wabawatch.simulator import (
    Simulation,
    generated_fleet,
    key_environment,
    parse_scenario,
    wabawatch_config,
    write_config,
)
from wabawatch.simulator.scenario import Scenario

URL = "http://127.0.0.1:8360"


@pytest.fixture
def simulation(scenario):
    return Simulation(scenario)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_each_number_is_a_target_whose_key_is_a_reference_into_the_environment(simulation):
    config = wabawatch_config(simulation, URL)
    environment = key_environment(simulation)
    assert config["source"]["base_url"] == URL
    assert config["destinations"] == {"console": {"kind": "console"}}
    assert [target["id"] for target in config["targets"]] == ["support-de", "orders-es", "sales-br", "bookings-no"]
    for target, number in zip(config["targets"], simulation.numbers(), strict=True):
        assert target["name"] == number["name"]
        assert environment[target["api_key"].removeprefix("env:")] == number["key"]


def test_no_key_stands_in_the_written_configuration_and_only_the_owner_reads_the_key_files(simulation, tmp_path):
    path = write_config(simulation, URL, tmp_path / "demo")
    text = path.read_text()
    assert mode(path.parent / "keys") == 0o700
    for target, number in zip(yaml.safe_load(text)["targets"], simulation.numbers(), strict=True):
        file = path.parent / "keys" / target["id"]
        assert target["api_key"] == f"file:{file}"
        assert file.is_absolute()
        assert file.read_text().strip() == number["key"]
        assert mode(file) == 0o600
        assert number["key"] not in text


def test_what_was_written_before_is_replaced_and_made_private(simulation, tmp_path):
    (tmp_path / "keys").mkdir(0o777)
    old = tmp_path / "keys" / "support-de"
    old.write_text("an older and much longer key than the one that is written now, and not only by a little")
    old.chmod(0o644)
    write_config(simulation, URL, tmp_path)
    assert old.read_text().strip() == simulation.numbers()[0]["key"]
    assert mode(old) == 0o600
    assert mode(tmp_path / "keys") == 0o700


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_everything_is_made_for_its_owner_only(simulation, tmp_path):
    path = write_config(simulation, URL, tmp_path / "new" / "demo")
    assert {mode(folder) for folder in (tmp_path / "new", path.parent, path.parent / "keys")} == {0o700}
    assert {mode(file) for file in (path, *(path.parent / "keys").iterdir())} == {0o600}


@pytest.mark.parametrize("name", ["config.yaml", "keys/support-de"])
@pytest.mark.parametrize("aim", ["aim", "nothing"])
def test_a_link_that_somebody_put_there_is_replaced_and_not_followed(simulation, tmp_path, name, aim):
    (tmp_path / "aim").write_text("somebody's file")
    (tmp_path / "demo" / "keys").mkdir(parents=True)
    (tmp_path / "demo" / name).symlink_to(tmp_path / aim)
    write_config(simulation, URL, tmp_path / "demo")
    assert (tmp_path / "aim").read_text() == "somebody's file"
    assert not (tmp_path / "nothing").exists()
    assert not (tmp_path / "demo" / name).is_symlink()


@pytest.mark.parametrize("name", ["demo", "demo/keys"])
def test_a_folder_that_is_a_link_is_refused(simulation, tmp_path, name):
    (tmp_path / "aim").mkdir()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to(tmp_path / "aim")
    with pytest.raises(OSError, match="symbolic link"):
        write_config(simulation, URL, tmp_path / "demo")
    assert list((tmp_path / "aim").iterdir()) == []


def test_a_folder_of_another_user_is_refused(simulation, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        write_config(simulation, URL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_labels_are_handed_on_so_that_routes_can_be_tried():
    labelled = Simulation(parse_scenario("fleet: {numbers: [{id: a, labels: {team: support}}, {id: b}]}"))
    first, second = wabawatch_config(labelled, URL)["targets"]
    assert first["labels"] == {"team": "support"}
    assert "labels" not in second


def test_ids_that_look_alike_as_variables_have_keys_of_their_own():
    simulation = Simulation(parse_scenario("fleet: {numbers: [{id: a-b}, {id: a_b}]}"))
    assert len(key_environment(simulation)) == 2


def test_a_large_fleet_has_a_variable_for_each_number():
    assert len(key_environment(Simulation(Scenario(fleet=generated_fleet(300))))) == 300
