"""The admission webhook as a process: what it watches, what it answers over HTTPS, and what it writes."""
