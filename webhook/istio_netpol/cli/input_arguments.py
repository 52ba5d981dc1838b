"""What the user says of the input of a command."""

from __future__ import annotations

from msgspec import Struct


class InputArguments(Struct, frozen=True):
    """The arguments and options about the input of a command, as they were written.

    `paths` are files, folders, `-`, and objects by name. `namespace` is that of what names none, empty where
    nobody said; `all_namespaces` takes back that only one of a cluster is reported. `values`, `sets` and
    `release` are for a Helm chart.
    """

    paths: tuple[str, ...] = ()
    namespace: str = ""
    all_namespaces: bool = False
    context: str = ""
    kubeconfig: str = ""
    exclude: tuple[str, ...] = ()
    config: str = ""
    values: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    release: str = ""

    @property
    def names_cluster(self) -> bool:
        """Whether a cluster is named, which is then read even where there is a PATH."""
        return bool(self.context or self.kubeconfig)
