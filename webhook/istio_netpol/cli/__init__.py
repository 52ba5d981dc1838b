"""The command line: arguments in, documents and exit codes out. Commands wire the other packages together."""
