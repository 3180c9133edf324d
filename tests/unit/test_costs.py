"""The README's cost table is what the script prints, and what the script has counted is still so."""

from __future__ import annotations

import pytest

from benchmarks import costs
from benchmarks.cost_counts import FLEETS, count_fleet


def test_the_readmes_table_is_the_scripts():
    readme = (costs.ROOT / "README.md").read_text()
    written = costs.write_into(readme, costs.table(costs.read_counts()))
    assert readme == written, "run python -m benchmarks.costs --write"


def test_every_fleet_of_the_table_was_counted():
    assert tuple(one.numbers for one in costs.read_counts()) == FLEETS


def test_one_number_still_asks_for_about_as_much():
    written, pluralize = costs.read_counts()[0], count_fleet(1)
    fields = [name for name in pluralize.__struct_fields__ if not name.endswith("_cpu")]
    assert {name: getattr(pluralize, name) for name in fields} == {
        name: pytest.approx(getattr(written, name), rel=0.15) for name in fields
    }, "run python -m benchmarks.costs --count --write"


def test_the_totals_are_the_sums_and_nothing_free_is_more_than_its_line():
    fleets = costs.read_counts()
    found = costs.lines(fleets)
    sums = [sum(line.dollars[place] for line in found) for place in range(len(fleets))]
    (together,) = [row for row in costs.table(fleets).splitlines() if "together" in row]
    assert [f"**{total:,.2f}**" for total in sums] == together.split(" | ")[1:5]
    assert all(gift <= dollars + 1e-9 for line in found for gift, dollars in zip(line.gift, line.dollars, strict=False))
