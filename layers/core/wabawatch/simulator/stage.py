"""What a running simulator consists of besides its socket: the simulation, the clock and the log of requests."""

from collections.abc import Callable
from datetime import timedelta

from .requestlog import RequestLog
from .scenario import Step
from .simulation import Simulation
from .storyclock import StoryClock


class Stage:
    """Moves the simulation by the clock. `on_step` hears of each step as it is taken."""

    def __init__(
        self, simulation: Simulation, clock: StoryClock, on_step: Callable[[Step], None] | None = None
    ) -> None:
        self.simulation, self.clock = simulation, clock
        self.requests = RequestLog()
        self._on_step = on_step

    def catch_up(self) -> None:
        """Take the story's steps that are due by the clock."""
        for step in self.simulation.advance(self.clock.elapsed()):
            if self._on_step:
                self._on_step(step)

    def go_to(self, elapsed: timedelta) -> None:
        """Set the story's clock, and take the steps up to there."""
        self.clock.go_to(elapsed)
        self.catch_up()
