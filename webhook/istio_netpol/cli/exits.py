"""The exit codes that scripts rely on."""

FINE = 0
FOUND = 1
"""Findings of severity error; a denied connection; a required flow lost."""

UNUSABLE = 2
"""Unusable input or arguments, and whatever went wrong in the program itself."""

INTERRUPTED = 130
"""Ended by Ctrl-C, as shells report it: 128 and SIGINT."""

BROKEN_PIPE = 141
"""The reader of standard output went away: 128 and SIGPIPE."""
