"""The map in a browser: one page, complete in itself as a file, or live from a server."""
