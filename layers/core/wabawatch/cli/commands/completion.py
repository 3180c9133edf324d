"""`completion`: the script that teaches a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from wabawatch.cli.options import format_examples

SHELLS = ("bash", "zsh", "fish")


class _Command(click.Command):
    """No state and no configuration: the shared options would only confuse here."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        format_examples(_EXAMPLES, formatter)


_EXAMPLES = """
$ eval "$(wabawatch completion bash)"                                     # in ~/.bashrc
$ eval "$(wabawatch completion zsh)"                                      # in ~/.zshrc
$ wabawatch completion fish > ~/.config/fish/completions/wabawatch.fish
"""


@click.command(cls=_Command, short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, options, targets, destinations and incidents."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}", click.get_current_context())
    maker = kind(click.get_current_context().find_root().command, {}, "wabawatch", "_WABAWATCH_COMPLETE")
    click.echo(maker.source_template % maker.source_vars())
