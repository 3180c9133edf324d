from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from wabawatch import __version__
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.cli.main import COMMANDS, program
from wabawatch.domain.silence import Matcher, Silence

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def every_command() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(program, info_name="wabawatch")
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        assert command is not None
        yield name, command
        for inner, subcommand in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", subcommand


ALL = list(every_command())
LEAVES = [(name, command) for name, command in ALL if not isinstance(command, click.Group)]


def named(commands: list[tuple[str, click.Command]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "command"), commands, ids=[name for name, _ in commands])


def examples(name: str) -> list[str]:
    """The examples that `--help` shows, a line each."""
    shown = CliRunner().invoke(program, [*name.split(), "--help"], prog_name="wabawatch")
    assert shown.exit_code == 0
    lines = shown.stdout.partition("Examples:")[2].splitlines()
    return [line.strip() for line in lines if line.strip().startswith("$ ")]


def parse(example: str) -> str:
    """Parse an example with click, without running it; the path of the command that it calls."""
    inner = re.search(r"\$\((.*)\)", example)
    words = shlex.split(inner[1] if inner else example.removeprefix("$ "), comments=True)
    assert "wabawatch" in words, example
    words = words[words.index("wabawatch") + 1 :]
    words = list(itertools.takewhile(lambda word: word not in {"|", ">"}, words))
    context = program.make_context("wabawatch", words)
    while isinstance(command := context.command, click.Group):
        with context.scope(cleanup=False):
            name, chosen, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert chosen is not None, example
        context = chosen.make_context(name, rest, parent=context)
    context.find_root().close()
    return context.command_path


@named(LEAVES)
def test_every_command_has_help_with_an_example_that_calls_it(name, command):
    assert f"wabawatch {name}" in [parse(example) for example in examples(name)]
    assert command.help
    assert command.help.split("\n\n")[0].rstrip().endswith(".")


@pytest.mark.parametrize("name", ["", *(name for name, _ in ALL)])
def test_every_example_parses(name):
    for example in examples(name):
        assert parse(example)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param("$ wabawatch run --intervall 5m", id="an unknown option"),
        pytest.param("$ wabawatch --config run.yaml rum", id="an unknown command"),
        pytest.param("$ wabawatch run --interval soon", id="a bad value"),
        pytest.param("$ wabawatch probe | jq .", id="a missing argument"),
        pytest.param("$ wabawatch status support-de", id="an argument too many"),
        pytest.param('$ eval "$(wabawatch completion tcsh)"', id="a bad choice"),
        pytest.param("$ wabawatch config chek fleet.yaml", id="an unknown command of a group"),
        pytest.param("$ wabawatch silence add --target x --for 2h", id="a missing option"),
    ],
)
def test_a_broken_example_is_noticed(example):
    with pytest.raises(click.UsageError):
        parse(example)


@named(LEAVES)
def test_every_command_stands_in_the_readme_s_table(name, command):  # noqa: ARG001 - parametrized together
    rows = [line for line in README.splitlines() if line.startswith("| `wabawatch ")]
    group, _, inner = name.partition(" ")
    matching = [row for row in rows if re.match(rf"\| `wabawatch {group}\b", row)]
    assert any(not inner or re.search(rf"\b{inner}\b", row) for row in matching), f"{name} is not in {rows}"


def test_the_readme_s_table_names_no_command_that_is_not_there():
    known = {name.split()[0] for name, _ in ALL}
    written = set(re.findall(r"^\| `wabawatch ([a-z-]+)", README, re.MULTILINE))
    assert written <= known


@named([(name, command) for name, command in ALL if " " not in name])
def test_the_summary_in_the_list_is_the_command_s_own(name, command):
    summaries = {each: summary for commands in COMMANDS.values() for each, summary in commands.items()}
    assert command.short_help == summaries[name]


def test_help_and_the_list_of_commands_load_no_heavy_module():
    program_text = (
        "import sys\n"
        "sys.argv = ['wabawatch', '--help']\n"
        "from wabawatch.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'boto3', 'botocore', 'rich', 'yaml', 'msgspec', 'pycurl', 'requests', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program_text], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"
    assert "Exit codes" in done.stdout


def test_the_version_is_printed():
    shown = CliRunner().invoke(program, ["--version"], prog_name="wabawatch")
    assert (shown.exit_code, shown.stdout) == (0, f"wabawatch {__version__}\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_asks_the_program(shell):
    shown = CliRunner().invoke(program, ["completion", shell], prog_name="wabawatch")
    assert shown.exit_code == 0
    assert "_WABAWATCH_COMPLETE" in shown.stdout
    assert "wabawatch" in shown.stdout


def test_a_shell_is_offered_the_targets_of_the_configuration(site):
    asked = site.environment | {
        "_WABAWATCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "wabawatch probe s",
        "COMP_CWORD": "2",
    }
    done = CliRunner().invoke(program, [], prog_name="wabawatch", env=asked)
    assert done.stdout.splitlines() == ["plain,support-de", "plain,sales-br"]


def test_a_shell_is_offered_nothing_where_the_configuration_is_broken(site):
    site.config.write_text("targets: [")
    asked = site.environment | {
        "_WABAWATCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "wabawatch probe s",
        "COMP_CWORD": "2",
    }
    done = CliRunner().invoke(program, [], prog_name="wabawatch", env=asked)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_shell_is_offered_stored_texts_as_one_harmless_line(site):
    store = SqliteStore(site.folder / "state.db")
    reason = "moved\nplain\nevil; rm -rf ~\nx\x1b[2Jy\x9bz"
    store.save_silence(Silence("5e1f", Matcher(), "ann", reason, datetime.now(UTC), datetime.now(UTC)))
    store.close()
    asked = site.environment | {
        "_WABAWATCH_COMPLETE": "zsh_complete",
        "COMP_WORDS": "wabawatch silence expire ",
        "COMP_CWORD": "3",
    }
    done = CliRunner().invoke(program, [], prog_name="wabawatch", env=asked)
    assert done.stdout.splitlines() == ["plain", "5e1f", "moved plain evil; rm -rf ~ xy"]


def test_bash_completes_commands_and_targets_with_that_script(site):
    script = """
        source <(wabawatch completion bash)
        COMP_WORDS=(wabawatch hist) COMP_CWORD=1; _wabawatch_completion wabawatch; echo "${COMPREPLY[@]}"
        COMPREPLY=()
        COMP_WORDS=(wabawatch probe s) COMP_CWORD=2; _wabawatch_completion wabawatch; echo "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=os.environ | site.environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["history", "support-de sales-br"]
