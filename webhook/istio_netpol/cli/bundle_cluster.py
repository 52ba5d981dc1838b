"""The cluster that an overlay is to be applied to, as `bundle verify` takes it: a dump, or live."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import click
from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.bundle_coverage.cluster_input import gaps_in, other_plugin
from istio_netpol.analysis.bundle_coverage.coverage import coverage_of
from istio_netpol.analysis.bundle_proof.bundle_report import (
    BundleReport,
    with_coverage,
    with_dry_run,
    with_unknown_addresses,
)
from istio_netpol.cli.inputs import ReadOptions, read_inputs
from istio_netpol.cli.opened_input import whereabouts
from istio_netpol.cli.options import Decorator, cluster_options
from istio_netpol.cli.overlays import OverlayInput
from istio_netpol.cli.settings import Offline
from istio_netpol.cli.streams import tell
from istio_netpol.errors import InputError, Problem
from istio_netpol.flows.table import namespaces_of
from istio_netpol.kube.kubeconfig import find_context
from istio_netpol.model.assumptions import Assumption, assumptions_of
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.state.snapshot import Snapshot


class ClusterArguments(Struct, frozen=True):
    """Which cluster the user named: the file of a dump, or the one of a context; neither for none."""

    dump: str = ""
    live: bool = False
    context: str = ""
    kubeconfig: str = ""
    dry_run: bool = False

    @property
    def is_live(self) -> bool:
        """Whether a cluster is read now."""
        return bool(self.live or self.context or self.kubeconfig)

    def require_one(self, control_plane: Sequence[str]) -> None:
        """Raises UsageError where the arguments contradict each other."""
        if self.dump and self.is_live:
            raise click.UsageError(
                "--cluster-dump and --live, --context or --kubeconfig name two clusters; use one of them"
            )
        if self.dry_run and not self.is_live:
            raise click.UsageError("--dry-run-server asks a cluster: add --live, --context or --kubeconfig")
        if self.dump == "-" and "-" in control_plane:
            raise click.UsageError("--cluster-dump and --control-plane can't both read standard input")


def bundle_cluster_options() -> Decorator:
    """`--cluster-dump`, `--live`, `--context`, `--kubeconfig` and `--dry-run-server`."""
    dump = click.option(
        "--cluster-dump",
        "cluster_dump",
        metavar="PATH",
        default="",
        help="A dump of the cluster, or - for standard input: tell what of its workloads the overlay would "
        "cut. `istio-netpol dump` makes one.",
    )
    live = click.option("--live", is_flag=True, help="The same for the cluster of the current context.")
    tries = click.option(
        "--dry-run-server",
        is_flag=True,
        help="Also ask the live cluster whether it takes the overlay's policies. Nothing is stored.",
    )
    options = cluster_options("The same for the cluster of this context of the kubeconfig.")
    return lambda command: dump(live(options(tries(command))))


def with_cluster(
    proof: BundleReport, given: OverlayInput, arguments: ClusterArguments, reading: ReadOptions
) -> BundleReport:
    """The proof with what the overlay meets in the cluster that was named, or beside the control plane that
    was, and with what came of trying it. Raises InputError, SettingsError and ApiError."""
    if arguments.dry_run:
        proof = _tried(proof, given, arguments)
    return _covered(proof, given, arguments, reading)


def _tried(proof: BundleReport, given: OverlayInput, arguments: ClusterArguments) -> BundleReport:
    # The client of clusters takes half a second to import, which reading files can do without.
    from istio_netpol.cli.cluster_input import connect  # noqa: PLC0415
    from istio_netpol.kube.dry_run import dry_run  # noqa: PLC0415

    context = find_context(arguments.kubeconfig, arguments.context)
    connection = connect(context, arguments.kubeconfig)
    tell("asking the API server whether it takes the overlay's policies; nothing is stored")
    policies = [value for value in given.bundle if isinstance(value, NetworkPolicy)]
    return with_dry_run(proof, tuple(dry_run(connection, policies)))


def _covered(
    proof: BundleReport, given: OverlayInput, arguments: ClusterArguments, reading: ReadOptions
) -> BundleReport:
    assumed: tuple[Assumption, ...] = ()
    if arguments.dump or arguments.is_live:
        cluster, assumed = _live(arguments, given) if arguments.is_live else _dumped(arguments.dump, reading)
        assumed = (*assumed, *gaps_in(cluster))
        # What was taken for granted without the cluster, the cluster says, or it is assumed of it below.
        proof = replace(proof, report=replace(proof.report, assumptions=()))
    elif given.names_control_plane:
        running = [value for value in given.control_plane if not isinstance(value, NetworkPolicy)]
        cluster = Snapshot.of(running)
        proof = with_unknown_addresses(proof)
    else:
        return with_unknown_addresses(proof)
    where = "the cluster" if arguments.is_live else arguments.dump
    if where and (other := other_plugin(cluster, given.settings)):
        raise InputError([Problem.of(where, other.cause, other.remedy)])
    coverage = coverage_of(given.bundle, cluster, given.settings, Offline())
    if not coverage.workloads and (where or not _concerns(proof, coverage.namespaces)):
        cause = (
            f"holds no workload that the overlay isolates, whose policies are for "
            f"{', '.join(coverage.namespaces)}: nothing is proved"
        )
        remedy = _REMEDY if where else "add what runs there, or leave --control-plane out for the usual one"
        raise InputError([Problem.of(where or "--control-plane", cause, remedy)])
    return with_coverage(proof, replace(coverage, assumptions=(*assumed, *coverage.assumptions)))


def _concerns(proof: BundleReport, namespaces: Collection[str]) -> bool:
    """Whether any flow that was judged has an end in the namespaces."""
    return any(not namespaces_of(judged.flow).isdisjoint(namespaces) for judged in proof.flows)


_REMEDY = "dump all namespaces (`istio-netpol dump`), or name the overlay of this cluster"


def _dumped(path: str, reading: ReadOptions) -> tuple[Snapshot, tuple[Assumption, ...]]:
    found = read_inputs([path], reading)
    if len(found) > 1:
        cause = f"holds {len(found)} inputs, and a dump is one"
        raise InputError([Problem.of(path, cause, "name the file of the dump")])
    return found[0].snapshot, found[0].assumed


def _live(arguments: ClusterArguments, given: OverlayInput) -> tuple[Snapshot, tuple[Assumption, ...]]:
    # As above: only a cluster needs its client.
    from istio_netpol.cli.cluster_input import listing_of, read_cluster  # noqa: PLC0415

    context = find_context(arguments.kubeconfig, arguments.context)
    tell(f"reading the cluster {whereabouts(context)}")
    listing = listing_of(context, arguments.kubeconfig, given.settings)
    found = read_cluster(listing, "")
    return found.snapshot, assumptions_of(found.unseen)
