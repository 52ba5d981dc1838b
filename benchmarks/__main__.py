"""`python -m benchmarks`: measures, prints a table, and writes JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import (
    all_pairs,
    bundle_proof,
    cluster_sync,
    decisions,
    hostile,
    latency,
    noisy_neighbours,
    over_https,
    slow_clients,
    start,
    tiered_pairs,
    whole_check,
)
from benchmarks.measure import Figure
from benchmarks.plan import Plan
from benchmarks.synthetic import SEED

PARTS: dict[str, Callable[[Plan], Iterator[Figure]]] = {
    "start": start.figures,
    "check": whole_check.figures,
    "list": all_pairs.figures,
    "tiers": tiered_pairs.figures,
    "bundle": bundle_proof.figures,
    "decisions": decisions.figures,
    "https": over_https.figures,
    "hostile": hostile.figures,
    "clients": slow_clients.figures,
    "cluster": cluster_sync.figures,
    "latency": latency.figures,
    "neighbours": noisy_neighbours.figures,
}


def main() -> None:
    """Runs the parts that were asked for, one after the other."""
    arguments = _arguments()
    found: list[Figure] = []
    print(f"{'figure':<62} {'median':>12}        {'aim':<14}")
    with tempfile.TemporaryDirectory(prefix="istio-netpol-bench-") as folder:
        plan = Plan(Path(folder), arguments.seed, arguments.quick)
        for part in arguments.parts or PARTS:
            print(f"-- {part}", flush=True)
            for figure in PARTS[part](plan):
                found.append(figure)
                print(_row(figure), flush=True)
    _write(arguments.json, found, plan)
    print(f"written to {arguments.json}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures speed and memory on a synthetic cluster. No figure makes it fail.",
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"what to measure, of {', '.join(PARTS)}; without any, all"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, for development")
    parser.add_argument(
        "--seed", type=int, default=SEED, help="of the synthetic cluster (default: %(default)s)"
    )
    parser.add_argument(
        "--json", type=Path, default=Path("build/bench.json"), metavar="FILE", help="default: %(default)s"
    )
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return arguments


def _row(figure: Figure) -> str:
    verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
    return f"{figure.name:<62} {figure.median:>12,.3f} {figure.unit:<6} {figure.aim:<14} {verdict}".rstrip()


def _write(path: Path, found: Sequence[Figure], plan: Plan) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "seed": plan.seed,
        "quick": plan.quick,
        "figures": [figure.as_json() for figure in found],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
