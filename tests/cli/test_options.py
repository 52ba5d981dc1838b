"""Options: what they refuse, and in which words."""

from __future__ import annotations

import json
import subprocess
import sys
from ast import literal_eval
from inspect import signature
from pathlib import Path

import click
import pytest
from tests.cli.workspace import Run

from istio_netpol.cli.command import Command
from istio_netpol.cli.commands import COMMANDS, LazyCommands
from istio_netpol.cli.settings import read_settings
from istio_netpol.report.table import TABLE, names, writer


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("a.example", "'a.example' has no '='; write HOST=IP, for example keys.example.com=192.0.2.7"),
        ("=192.0.2.1", "'' is not a host name; write it as example.com, in lower case"),
        ("*.example=192.0.2.1", "'*.example' is not a host name; write it as example.com, in lower case"),
        ("a b=192.0.2.1", "'a b' is not a host name; write it as example.com, in lower case"),
        ("a.example=", "'' is not an IP address; write it as 192.0.2.1 or 2001:db8::1"),
        ("a.example=192.0.2.1,", "'' is not an IP address; write it as 192.0.2.1 or 2001:db8::1"),
        (
            "a.example=192.0.2.0/24",
            "'192.0.2.0/24' is not an IP address; write it as 192.0.2.1 or 2001:db8::1",
        ),
        (
            "a.example=fe80::1%eth0",
            "'fe80::1%eth0' is not an IP address; write it as 192.0.2.1 or 2001:db8::1",
        ),
        ("a.example=b.example", "'b.example' is not an IP address; write it as 192.0.2.1 or 2001:db8::1"),
    ],
)
def test_an_address_that_is_none_is_refused(run: Run, value: str, sentence: str) -> None:
    """Before anything is read."""
    result = run("check", "gone.yaml", "--address", value)
    assert result.exit_code == 2
    assert f"Error: Invalid value for '--address': {sentence}\n" in result.stderr


def test_addresses_of_one_host_add_up(workspace: Path) -> None:
    """And take the place of what the file says of it."""
    (workspace / "netpol.yaml").write_text(
        "apiVersion: istio-netpol.io/v1\nkind: Settings\n"
        "hosts: {knownAddresses: {a.example: [192.0.2.9], b.example: [192.0.2.8]}}\n"
    )
    given = [("a.example", ("192.0.2.1",)), ("a.example", ("2001:db8::1",))]
    assert read_settings("netpol.yaml", given).hosts.known_addresses == {
        "a.example": ("192.0.2.1", "2001:db8::1"),
        "b.example": ("192.0.2.8",),
    }


def test_hosts_are_written_in_any_case_and_with_a_final_dot(run: Run) -> None:
    """DNS names are equal then."""
    result = run("check", "shop.yaml", "--offline", "--address", "Keys.Example.COM.=192.0.2.7")
    assert result.exit_code == 0


def test_settings_that_are_not_there_are_a_sentence(run: Run) -> None:
    """Not the defaults in silence."""
    result = run("check", "shop.yaml", "--config", "gone.yaml")
    assert result.exit_code == 2
    assert result.stderr == (
        "gone.yaml: the settings can't be read: No such file or directory; check --config and "
        "ISTIO_NETPOL_CONFIG\n"
    )


def test_settings_are_not_read_from_a_device(run: Run) -> None:
    """/dev/zero would never end."""
    result = run("check", "shop.yaml", "--config", "/dev/zero")
    assert result.exit_code == 2
    assert result.stderr == "/dev/zero: is a device, which may never end; name a file of settings\n"


def test_all_mistakes_of_the_settings_are_told(run: Run, workspace: Path) -> None:
    """A line each."""
    (workspace / "netpol.yaml").write_text(
        "apiVersion: istio-netpol.io/v1\nkind: Settings\nmesch: {}\ndns: {port: 0}\n"
    )
    result = run("list", "shop.yaml", "--config", "netpol.yaml")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "netpol.yaml:3: mesch: is not a setting; did you mean mesh?",
        "netpol.yaml:4: dns.port = 0: is not between 1 and 65535",
    ]


def test_an_unknown_format_is_a_usage_error(run: Run) -> None:
    """With those that exist."""
    result = run("check", "shop.yaml", "-f", "yaml")
    assert result.exit_code == 2
    assert "'yaml' is not one of 'text', 'json', 'sarif', 'junit', 'github'" in result.stderr


@pytest.mark.parametrize(
    ("command", "name"), [(command, name) for command in TABLE for name in names(command)]
)
def test_every_row_of_the_formats_is_a_function(command: str, name: str) -> None:
    """Rows name functions, so that commands start fast; it takes what the row says."""
    function = writer(command, name)
    assert set(TABLE[command][name].takes) <= set(signature(function).parameters)


@pytest.mark.parametrize("command", ["check", "list", "diff", "explain"])
def test_a_command_offers_its_formats(run: Run, command: str) -> None:
    """In its help, from the one table."""
    assert f"[{'|'.join(names(command))}]" in "".join(run(command, "--help").output.split())


def test_the_help_imports_no_format() -> None:
    """It is there at once."""
    code = (
        "import sys, istio_netpol.cli.main; "
        "print([name for name in sys.modules if name.startswith('istio_netpol.report.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    light = {f"istio_netpol.report.{name}" for name in ("table", "rules", "palette")}
    assert set(literal_eval(done.stdout)) <= light


def test_a_dump_of_a_cluster_is_an_input(run: Run, programs: Path) -> None:
    """A List, as kubectl prints it."""
    dump = (programs / "dump.json").read_text()
    result = run("check", "-", "--offline", "-f", "json", stdin=dump)
    assert json.loads(result.stdout)["summary"]["objects"] == 4


def test_all_that_is_wrong_with_the_arguments_is_told_at_once(run: Run) -> None:
    """A line each, also of an option that may be repeated."""
    result = run(
        "check", "gone.yaml", "-f", "pdf", "--severity", "loud", "--rule", "nope", "--rule", "dsn", "-n", "A!"
    )
    assert result.exit_code == 2
    told = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert [line.partition("Invalid value for ")[2].partition(" is not")[0] for line in told] == [
        "'-f' / '--format': 'pdf'",
        "'-n' / '--namespace': 'A!'",
        "'--rule': 'nope'",
        "'--rule': 'dsn'",
        "'--severity': 'loud'",
    ]


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_tells_all_that_is_wrong(command: str) -> None:
    """A group leaves it to its commands."""
    found = LazyCommands(COMMANDS)[command]
    commands = found.commands.values() if isinstance(found, click.Group) else [found]
    assert all(isinstance(one, Command) for one in commands)


LONG = "x" * 300
"""No file can be called so. The system refuses to look for it, as it does within a folder without permission,
which root could not be made to meet."""


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", LONG),
        ("check", f"{LONG}/a.yaml"),
        ("check", "deploy/cart", LONG),
        ("check", "--config", LONG),
        ("check", "--kubeconfig", LONG),
        ("check", "manifests", "--baseline", LONG),
        ("generate", "manifests", "-o", LONG),
        ("readiness", "manifests", "-o", LONG),
        ("map", "manifests", "-o", f"{LONG}.html"),
        ("list", LONG),
        ("diff", LONG, "manifests"),
        ("doctor", "--kubeconfig", LONG),
        ("dump", "--kubeconfig", LONG),
        ("bundle", "verify", LONG),
        ("serve", "--source", f"dir:{LONG}", "--self-signed"),
    ],
    ids=lambda arguments: " ".join(argument[:12] for argument in arguments),
)
def test_a_file_that_may_not_be_looked_for_is_a_mistake_of_the_user(
    run: Run, arguments: tuple[str, ...]
) -> None:
    """It is named, and nothing stops unexpectedly."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert LONG in result.stderr
    assert "did not expect" not in result.stderr


def test_a_home_that_may_not_be_searched_is_told(run: Run, tmp_path: Path) -> None:
    """As kubectl does: the kubeconfig that may be there is not taken for absent."""
    home = tmp_path / LONG
    result = run("check", HOME=str(home))
    assert result.exit_code == 2
    assert result.stderr == (
        f"{home}/.kube/config: the kubeconfig can't be read: File name too long; check --kubeconfig and "
        "KUBECONFIG\n"
    )


@pytest.mark.parametrize("place", ["/dev/null", "manifests/shop.yaml/policies"])
def test_policies_are_not_written_into_what_is_not_a_folder(run: Run, place: str) -> None:
    """The sentence names it, and what to do."""
    result = run("generate", "manifests", "--offline", "-o", place)
    assert result.exit_code == 2
    assert f"not written: {place} " in result.stderr
    assert "with -o\n" in result.stderr


def test_both_ends_that_are_not_there_are_told(run: Run) -> None:
    """Of a list and of one connection."""
    for command, called in (("list", "shop/nada"), ("explain", "shop/nada:80")):
        result = run(command, "manifests", "--from", "shop/nope", "--to", called)
        assert result.exit_code == 2
        assert "'shop/nope' names no workload of the input" in result.stderr
        assert "'shop/nada' names no workload of the input" in result.stderr
        assert result.stderr.endswith("2 problems; nothing was done\n")


@pytest.mark.parametrize("value", ["replicas", "=2", ""])
def test_a_value_of_a_chart_needs_a_key_and_a_value(run: Run, value: str) -> None:
    """Before helm is asked, and where there is no chart."""
    result = run("check", "manifests", "--set", value)
    assert result.exit_code == 2
    assert f"Invalid value for '--set': {value!r} is not KEY=VALUE; write it as replicas=2" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "manifests", "--baseline", ""),
        ("check", "manifests", "--baseline", "", "--update-baseline"),
        ("generate", "manifests", "-o", ""),
        ("map", "manifests", "--serve", "--token-file", ""),
        ("serve", "--source", "dir:manifests", "--cert", "", "--key", ""),
        ("explain", "manifests", "--workload", ""),
        ("explain", "manifests", "--from", "", "--to", "shop/db:5432"),
        ("list", "manifests", "--from", ""),
    ],
    ids=" ".join,
)
def test_a_variable_that_is_not_set_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    """`--workload "$WORKLOAD"` is an empty text then."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert "the name is empty" in result.stderr or "'' is not a" in result.stderr


@pytest.mark.parametrize("command", ["check", "doctor", "dump"])
def test_whoever_has_no_home_is_told_of_the_kubeconfig(run: Run, command: str) -> None:
    """As the user of a container whom no list of users knows: this home leads nowhere either."""
    result = run(command, HOME="~gone")
    assert result.exit_code == 2
    assert "~/.kube/config" in result.stderr
    assert "did not expect" not in result.stderr
