"""`completion`: print the completion script for a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from wabawatch.cli.options import format_examples

SHELLS = ("bash", "zsh", "fish")


class _Command(click.Command):
    """A command without the shared options: it uses no state and no configuration."""

    examples = """
    $ eval "$(wabawatch completion bash)"                                     # in ~/.bashrc
    $ eval "$(wabawatch completion zsh)"                                      # in ~/.zshrc
    $ wabawatch completion fish > ~/.config/fish/completions/wabawatch.fish
    """

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        format_examples(self.examples, formatter)


@click.command(cls=_Command, short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, options, targets, destinations and incidents."""
    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"no completion for {shell}", click.get_current_context())
    maker = completion_class(click.get_current_context().find_root().command, {}, "wabawatch", "_WABAWATCH_COMPLETE")
    click.echo(maker.source_template % maker.source_vars())
