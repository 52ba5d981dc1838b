"""Keeps the garbage collector out of the way of reviews, and of the controller's rounds."""

from __future__ import annotations

import gc


def keep_what_is_left() -> None:
    """Collects now, and lets later collections pass by all that is left.

    The table of a large cluster is hundreds of thousands of objects that stay: a full collection that walked
    them would have reviews and rounds wait for it.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
