"""The table of commands: what help and completion say of a command, and what it says of itself."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete
from tests.cli.workspace import Run

from istio_netpol.cli.commands import COMMANDS
from istio_netpol.cli.main import program


def completions(typed: list[str], incomplete: str) -> dict[str, str | None]:
    """What completion offers for a word, and what it says of each."""
    shell = ShellComplete(program, {}, "istio-netpol", "_ISTIO_NETPOL_COMPLETE")
    return {item.value: item.help for item in shell.get_completions(typed, incomplete)}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_of_itself_what_the_table_says(name: str) -> None:
    """Whoever asks the command gets the same line."""
    assert program.commands[name].get_short_help_str() == COMMANDS[name].line


def test_help_lists_every_command_with_its_line(run: Run) -> None:
    """By name, in the order of the alphabet."""
    listed = run("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split(maxsplit=1) for line in listed.splitlines()] == [
        [name, COMMANDS[name].line] for name in sorted(COMMANDS)
    ]


def test_a_command_is_completed_with_its_line() -> None:
    """Those that begin as the word does."""
    assert completions([], "di") == {"diff": COMMANDS["diff"].line}
    assert completions([], "") == {name: command.line for name, command in COMMANDS.items()}


def test_options_of_program_and_commands_are_completed() -> None:
    """And commands of a group."""
    assert set(completions([], "--v")) == {"--version"}
    assert set(completions(["check"], "--fail")) == {"--fail-on"}
    assert set(completions(["bundle"], "")) == {"verify"}


def test_a_command_that_is_none_is_refused_with_what_is_meant(run: Run) -> None:
    """Where one is called alike."""
    result = run("chek")
    assert result.exit_code == 2
    assert "No such command 'chek'. Did you mean 'check'?" in result.stderr
