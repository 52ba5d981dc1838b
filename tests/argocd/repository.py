"""A bare repository that holds what Argo CD reads of this one, and the clone in which a user works."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("argocd", "charts", "kustomize")
SETTINGS = "argocd/settings/settings.yaml"
IMAGE = "registry.example.com/mesh/istio-netpol"
RETRIES = {
    "objects/cluster/baseline.yaml": ("duration: 5s\n", "duration: 1s\n"),
    "objects/cluster/webhook.yaml": ("duration: 5s\n", "duration: 1s\n"),
    "objects/clusters/applicationset.yaml": ("duration: 10s\n", "duration: 1s\n"),
    "objects/bootstrap/application.yaml": ("duration: 10s\n", "duration: 1s\n"),
}
"""How long Argo CD rests before it tries a failed sync again: as often as shipped, and sooner."""

UNSET = "# repoURL: https://example.com/istio-netpol.git\n# image: registry.example.com/istio-netpol\n"
AUTHOR = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "operator"), ("EMAIL", "operator@example.com"))
}


class Repository:
    """The working tree's folders as they are now, committed, with its own address in `settings.yaml`, and
    with short rests between retries."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.bare = folder / "istio-netpol.git"
        self.url = f"file://{self.bare}"
        for name in FOLDERS:
            shutil.copytree(ROOT / name, self.work / name)
        self.edit(SETTINGS, UNSET, f"repoURL: {self.url}\nimage: {IMAGE}\n")
        for path, (shipped, sooner) in RETRIES.items():
            self.edit(f"argocd/{path}", shipped, sooner)
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self._git("remote", "add", "origin", str(self.bare))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces text that is there once."""
        file = self.work / path
        text = file.read_text()
        assert text.count(old) == 1, f"{path}: {old!r} is there {text.count(old)} times"
        file.write_text(text.replace(old, new))

    def write(self, path: str, text: str) -> None:
        """Writes a file, in a folder that may be new."""
        file = self.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def push(self, subject: str) -> str:
        """Commits everything and pushes it; the revision."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", subject)
        self._git("push", "--quiet", "origin", "main")
        return self._git("rev-parse", "HEAD").strip()

    def revert(self) -> str:
        """Takes the last commit back; the revision."""
        self._git("revert", "--no-edit", "HEAD")
        self._git("push", "--quiet", "origin", "main")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        settings = {"HOME": str(self.work), "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/usr/bin:/bin", **AUTHOR}
        done = subprocess.run(
            ["git", *arguments], cwd=self.work, env=settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
