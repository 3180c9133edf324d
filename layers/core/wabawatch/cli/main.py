"""The program `wabawatch`: its commands, loaded when they are chosen so that help and completion start quickly."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from wabawatch import __version__
from wabawatch.cli.exit_codes import discard_output, run_and_exit_code
from wabawatch.cli.options import format_examples, shared_options, unknown

COMMANDS: Final = {
    "Monitor": {
        "run": "Poll and notify until stopped; a live view on a terminal.",
        "probe": "Read one target once; change nothing.",
        "status": "Show the status of every target, worst first.",
        "demo": "Monitor a simulated fleet; needs no setup.",
        "simulate": "Serve a simulated health API.",
    },
    "Explain": {
        "incidents": "List open incidents.",
        "history": "Show transitions, latest first.",
        "explain": "Show why each destination was notified, or was not.",
        "replay": "Show what another configuration would have sent.",
    },
    "Respond": {
        "ack": "Acknowledge an incident: reminders stop.",
        "silence": "Mute alerts by matchers, for a while.",
    },
    "Set up": {
        "config": "Check, show and upload the configuration; test its routes.",
        "notify-test": "Deliver a marked test to a destination.",
        "doctor": "Check a deployment and say what to fix.",
        "completion": "Print the completion script for a shell.",
    },
}
"""Commands and their summaries by group: help loads no command module. A test compares the summaries."""

_EXAMPLES: Final = """
$ wabawatch demo                                      # try it without any setup
$ D360_API_KEY=… wabawatch run                        # monitor one number
$ wabawatch --config fleet.yaml run --interval 5m     # monitor a fleet
$ wabawatch --stack wabawatch status                  # query a deployed stack
"""


class Program(click.Group):
    """The group of all commands. It imports a command's module when the command is chosen."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(**options)
        self._names = [name for commands in COMMANDS.values() for name in commands]

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return self._names

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self._names:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"wabawatch.cli.commands.{name}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._names and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise unknown("command", args[0], self._names)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. End quietly if the reader closes the pipe (`| head`)."""
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            sys.exit(discard_output())
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for group, commands in COMMANDS.items():
            with formatter.section(group):
                formatter.write_dl(list(commands.items()), col_max=14)
        format_examples(_EXAMPLES, formatter)

    def main(self, *arguments: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - click's own
        """Run as click does, with our exit codes and one line for an error."""
        options["standalone_mode"] = False
        inherited: Callable[..., Any] = super().main
        sys.exit(run_and_exit_code(lambda: inherited(*arguments, **options)))


program = Program(
    name="wabawatch",
    params=[*shared_options(environment=True)],
    help="Monitor the messaging health of WhatsApp Business numbers and alert the people who must act: once for each "
    "cause, without losing a change.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done (probe, status: 0 AVAILABLE, 1 LIMITED, 2 BLOCKED, 3 UNKNOWN), 64 usage or "
    "configuration, 70 a bug, 75 state or network temporarily unavailable, 130 interrupted.",
)


click.version_option(__version__, prog_name="wabawatch", message="%(prog)s %(version)s")(program)


def main() -> None:
    """Run the command line. Ends with SystemExit."""
    program()
