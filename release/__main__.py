"""`python -m release`: the steps of `make release`."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

from release.checksums import write_checksums
from release.oci import build_artifact
from release.packages import build_chart, build_python
from release.sbom import bill_of_materials
from release.tree import NotReleasableError, commit_time, export, name_homepage, require_clean

ROOT = Path(__file__).parents[1]
TREE = ROOT / "build" / "release"


def version_of(tree: Path) -> str:
    """The version, from the one place that has it."""
    text = (tree / "webhook" / "istio_netpol" / "__init__.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE)
    return str(found)


def build_packages(root: Path, tree: Path, into: Path, helm: Path, homepage: str = "") -> None:
    """Python packages, chart, bundle and bill of materials, with their checksums, into a new folder."""
    epoch = commit_time(root)
    export(root, tree)
    if homepage:
        name_homepage(tree, homepage)
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    version = version_of(tree)
    build_python(tree, into, epoch)
    build_chart(tree, into, epoch, version, helm)
    build_artifact(tree, into, epoch, version)
    bill = bill_of_materials((tree / "requirements.lock").read_text(encoding="utf-8"), version, epoch)
    (into / f"istio-netpol-{version}.cdx.json").write_text(
        json.dumps(bill, indent=2) + "\n", encoding="utf-8"
    )
    write_checksums(into)


def main() -> None:
    """Builds the packages, or writes the checksums anew once the image lies beside them."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("step", choices=["packages", "checksums", "epoch"])
    parser.add_argument("--into", type=Path, default=ROOT / "dist")
    parser.add_argument("--helm", type=Path)
    parser.add_argument("--homepage", default="")
    arguments = parser.parse_args()
    try:
        if arguments.step == "epoch":
            print(commit_time(ROOT))
        elif arguments.step == "checksums":
            write_checksums(arguments.into)
        else:
            require_clean(ROOT)
            build_packages(ROOT, TREE, arguments.into, arguments.helm, arguments.homepage)
    except NotReleasableError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
