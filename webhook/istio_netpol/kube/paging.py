"""A list in pages, as long as a list can be."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection, Query
from istio_netpol.kube.objects import Page, page_of

PAGE_ITEMS = 500
MOST_PAGES = 4000
"""Two million objects: more than etcd holds."""

MOST_EMPTY = 20
"""Pages in a row without an object. A server may return fewer items than asked for, "possibly zero", where it
filters them (ListOptions in the Kubernetes API reference)."""


def pages_of(connection: ApiConnection, path: str, query: Query) -> Iterator[Page]:
    """All pages of a list, which is complete once they end. Raises ApiError, for a list that never ends too:
    a server that always names one more page would be read for ever."""
    following, empty = "", 0
    for _ in range(MOST_PAGES):
        asked = [("limit", str(PAGE_ITEMS)), *query]
        if following:
            asked.append(("continue", following))
        page = page_of(connection.get(path, asked))
        yield page
        if not page.metadata.continue_:
            return
        empty = 0 if page.items else empty + 1
        if page.metadata.continue_ == following or empty > MOST_EMPTY:
            break
        following = page.metadata.continue_
    raise ApiError(0, f"the API server's list of {path} does not end: it names one more page each time")
