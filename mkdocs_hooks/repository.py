"""A hook of MkDocs: pages that lie outside of docs/ are in the site, and every link works in both places.

In the repository a link names a file, relative to the page. In the site the same link leads to the page that
the file became. What is in the repository only, such as a folder of manifests, is a link to the repository
where `REPOSITORY_URL` says where that is, and plain text elsewhere.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "charts/istio-netpol/README.md": "chart.md",
    "kustomize/README.md": "kustomize.md",
}
"""Pages of the site by the file of the repository that they are made from; all others are those of docs/."""

_PLACES = {page: place for place, page in OUTSIDE.items()}
_FENCE = re.compile(r"^ *(```|~~~)")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside of docs/."""
    for place, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns the links of a page from places in the repository into places in the site."""
    is_code, lines = False, []
    for line in markdown.splitlines():
        is_code ^= bool(_FENCE.match(line))
        lines.append(
            line if is_code else _LINK.sub(lambda link: _in_the_site(link, page, config, files), line)
        )
    return "\n".join(lines)


def _in_the_site(link: re.Match[str], page: Page, config: MkDocsConfig, files: Files) -> str:
    image, text, target, anchor = link[1], link[2], link[3], link[4] or ""
    uri = page.file.src_uri
    place = _PLACES.get(uri, f"docs/{uri}")
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
    found = OUTSIDE.get(wanted) or _page_at(wanted.removeprefix("docs/"), files)
    if wanted == "docs":
        found = "index.md"
    if found is not None and (wanted in OUTSIDE or wanted.split("/")[0] == "docs"):
        return f"{image}[{text}]({posixpath.relpath(found, posixpath.dirname(uri) or '.')}{anchor})"
    if not (ROOT / wanted).exists():
        return link[0]  # MkDocs says that it leads nowhere
    return f"[{text}]({config.repo_url.rstrip('/')}/{wanted})" if config.repo_url else text


def _page_at(uri: str, files: Files) -> str | None:
    """The file of the site of that name, or the page of that folder."""
    for candidate in (uri, f"{uri}/README.md"):
        if files.get_file_from_path(candidate) is not None:
            return candidate
    return None
