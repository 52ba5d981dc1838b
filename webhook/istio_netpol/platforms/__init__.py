"""What is known of network plugins and of the environments that clusters come from, with source and date.

One table, as data: settings, `doctor`, the bundle's overlays and `docs/platforms.md` are fed from it.
"""
