"""Failures: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner, Result

from istio_netpol.cli.program import Program
from istio_netpol.errors import InputError, Problem, SettingsError, ToolError


def ending(error: BaseException, **environment: str) -> Result:
    """How a program ends whose command raises this."""

    @click.command()
    def fail() -> None:
        raise error

    group = Program("any", commands={"fail": fail})
    return CliRunner().invoke(group, ["fail"], env=environment)


def test_an_unexpected_error_is_one_sentence() -> None:
    """And how to see more."""
    result = ending(KeyError("x\ny"), ISTIO_NETPOL_TRACEBACK="")
    assert result.exit_code == 2
    assert result.stderr == (
        "istio-netpol stopped on an error that it did not expect (KeyError: 'x\\ny'); "
        "set ISTIO_NETPOL_TRACEBACK=1 and run it again to see where\n"
    )


@pytest.mark.parametrize("error", [RecursionError(), MemoryError()])
def test_running_out_of_memory_or_depth_is_one_sentence(error: Exception) -> None:
    """They are exceptions like others."""
    result = ending(error, ISTIO_NETPOL_TRACEBACK="")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"istio-netpol stopped on an error that it did not expect ({type(error).__name__}); "
    )


def test_the_traceback_is_there_for_those_who_ask() -> None:
    """The exit code is the same."""
    result = ending(KeyError("x"), ISTIO_NETPOL_TRACEBACK="1")
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.endswith("KeyError: 'x'\n")


@pytest.mark.parametrize("error", [SettingsError("no"), ToolError("no")])
def test_an_error_of_this_package_is_its_own_sentence(error: Exception) -> None:
    """Without any addition."""
    result = ending(error)
    assert (result.exit_code, result.stderr) == (2, "no\n")


def test_problems_are_a_line_each() -> None:
    """And their number."""
    problem = Problem("a.yaml", 1, None, None, None, "is wrong", None)
    result = ending(InputError([problem, problem]))
    assert (result.exit_code, result.stderr) == (
        2,
        "a.yaml:1: is wrong\na.yaml:1: is wrong\n2 problems; nothing was done\n",
    )


def test_an_interrupt_is_130() -> None:
    """As shells report it."""
    assert ending(KeyboardInterrupt()).exit_code == 130


def test_a_reader_who_left_is_141() -> None:
    """As shells report it, and without a word."""
    result = ending(BrokenPipeError())
    assert (result.exit_code, result.output) == (141, "")


def test_usage_errors_are_clicks_own() -> None:
    """With exit code 2."""
    result = ending(click.UsageError("so not"))
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: so not\n")
