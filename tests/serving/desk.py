"""The webhook without its HTTP: what one process does with one folder, look by look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.cli.settings import Offline
from istio_netpol.model.settings import Settings
from istio_netpol.server.folder_watch import Watch
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.sources.folder_source import FolderSource
from istio_netpol.sources.folder_store import FolderStore


def leave_it() -> None:
    """Leaves the garbage of a look: collecting it would walk through all that pytest holds."""


class Desk:
    """Answers reviews by what a folder held at the last look."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.source = FolderSource(folder, Kustomize())
        self.reviewer = Reviewer(FolderStore(folder), Offline())
        metrics = Metrics(self.source.state, lambda: 0.0)
        self.watch = Watch(self.source, self.reviewer, Offline(), settings, metrics, leave_it)
        self.watch.look()
        assert self.reviewer.is_ready, self.source.state().problems

    def look(self) -> None:
        """Takes in what changed: a change is read once it has stayed for one look."""
        self.watch.look()
        self.watch.look()
        assert self.source.state().problems == ()
        assert self.watch.failure == ""

    def review(self, webhook: str, body: bytes) -> dict[str, Any]:
        """The response to an AdmissionReview."""
        answer = self.reviewer.review(body, mutating=webhook == "mutate")
        assert answer.status == 200, answer.reason
        response = json.loads(answer.body)["response"]
        assert isinstance(response, dict)
        return response
