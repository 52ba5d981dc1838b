"""Finds in a snapshot the peers and objects that a user names on the command line."""
