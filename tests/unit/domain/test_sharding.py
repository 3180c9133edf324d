"""How a fleet is divided, and the names of its parts."""

from __future__ import annotations

from wabawatch.domain.sharding import sight_division, sight_name


def test_the_name_under_which_a_shard_tells_of_the_monitor_says_which_one_it_is():
    assert sight_name(3, 8) == "~sight-3-8"
    assert sight_division("~sight-3-8") == (3, 8)
    assert [sight_division(name) for name in ("sight-3-8", "~sight-3", "~sight-", "n1")] == [None] * 4
