"""The configuration that makes Wabawatch watch the simulator."""

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
    (tmp_path / "keys").mkdir()
    old = tmp_path / "keys" / "support-de"
    old.write_text("an older and much longer key than the one that is written now, and not only by a little")
    old.chmod(0o644)
    write_config(simulation, URL, tmp_path)
    assert old.read_text().strip() == simulation.numbers()[0]["key"]
    assert mode(old) == 0o600


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
