"""`istio-netpol bundle`: proofs of a Kustomize bundle."""

from __future__ import annotations

from collections.abc import Sequence

import click

from istio_netpol.analysis.bundle_proof.bundle_report import with_findings
from istio_netpol.analysis.bundle_proof.proof import verify as verify_objects
from istio_netpol.cli.bundle_cluster import ClusterArguments, bundle_cluster_options, with_cluster
from istio_netpol.cli.command import Command
from istio_netpol.cli.inputs import ReadOptions, outdated_findings
from istio_netpol.cli.options import config_option, format_option, reading_options
from istio_netpol.cli.overlays import read_overlay
from istio_netpol.cli.program import FINE, FOUND, examples
from istio_netpol.cli.rule import all_pages
from istio_netpol.cli.settings import Offline, helm_from_environment, kustomize_from_environment
from istio_netpol.cli.streams import tell, write
from istio_netpol.cli.terminal import palette
from istio_netpol.model.findings import Severity
from istio_netpol.report.table import document


@click.group(
    epilog=examples("istio-netpol bundle verify overlays/prod"),
)
def bundle() -> None:
    """Prove that a bundle of policies lets the control plane work, and opens nothing else."""


@bundle.command(
    cls=Command,
    short_help="Prove every control-plane flow of an overlay.",
    epilog=examples(
        "istio-netpol bundle verify overlays/prod",
        "istio-netpol bundle verify overlays/prod --strict -f junit",
        "istio-netpol dump | istio-netpol bundle verify overlays/prod --cluster-dump -",
        "istio-netpol bundle verify overlays/prod --context staging --dry-run-server",
        "kubectl get all -A -o yaml | istio-netpol bundle verify overlays/prod --control-plane -",
    ),
)
@click.argument("folder", metavar="DIR")
@format_option("bundle verify")
@click.option(
    "--control-plane",
    "control_plane",
    metavar="PATH",
    multiple=True,
    help="Manifests of the control plane, or - for standard input. Can be repeated.",
)
@click.option(
    "--fetch", is_flag=True, help="Let kustomize fetch what kustomizations name by URL, such as bases by ref."
)
@bundle_cluster_options()
@reading_options()
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@config_option()
@click.pass_context
def verify(
    ctx: click.Context,
    *,
    folder: str,
    format_name: str,
    control_plane: Sequence[str],
    fetch: bool,
    cluster_dump: str,
    live: bool,
    context: str,
    kubeconfig: str,
    dry_run_server: bool,
    namespace: str | None,
    exclude: Sequence[str],
    strict: bool,
    config: str | None,
) -> None:
    """Build an overlay and prove that it allows what the control plane needs, and nothing else.

    DIR is a folder with a kustomization.yaml. Its environment.yaml, if there is one, is the settings
    file unless --config names another.

    Exit code: 0 without findings of severity error, 1 with some, 2 for unusable input or arguments.
    """
    cluster = ClusterArguments(cluster_dump, live, context, kubeconfig, dry_run_server)
    cluster.require_one(control_plane)
    reading = ReadOptions(kustomize_from_environment(), helm_from_environment(), namespace or "", exclude)
    given = read_overlay(folder, control_plane, config, reading, fetch=fetch)
    proof = verify_objects(given.bundle, given.control_plane, given.base, given.settings, Offline())
    proof = with_findings(proof, outdated_findings(given.outdated, Severity.ERROR))
    proof = with_cluster(proof, given, cluster, reading)
    if format_name != "text":
        for assumption in proof.report.assumptions:
            tell(f"assumed: {assumption}")
    pages = all_pages(given.settings.rule_pages)
    write([document("bundle verify", format_name, proof, palette=palette(), pages=pages)])
    deciding = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    ctx.exit(FOUND if any(finding.severity in deciding for finding in proof.report.findings) else FINE)
