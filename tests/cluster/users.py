"""Who may do what in the test cluster, and the files by which clients and the API server know them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

ADMIN = "admin"
TENANT = "tenant"
NOBODY = "nobody"

GROUPS = {ADMIN: "system:masters", TENANT: "tenants", NOBODY: "strangers"}
"""`admin` may do everything, `tenant` what RoleBindings of a namespace grant, `nobody` what everyone may."""


@dataclass(frozen=True, slots=True)
class Users:
    """A token each, drawn anew for every cluster."""

    tokens: dict[str, str] = field(default_factory=lambda: {name: secrets.token_hex(16) for name in GROUPS})

    def write_token_file(self, path: Path) -> None:
        """What `--token-auth-file` reads: token, name, uid, groups."""
        lines = [f'{token},{name},{name},"{GROUPS[name]}"\n' for name, token in self.tokens.items()]
        path.touch(mode=0o600)
        path.write_text("".join(lines))

    def write_kubeconfig(self, path: Path, user: str, url: str, ca: Path) -> None:
        """A kubeconfig with one context, that of the user."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(ca)}}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": user, "context": {"cluster": "test", "user": user}}],
            "current-context": user,
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=2))
