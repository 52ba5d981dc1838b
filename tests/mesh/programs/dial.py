"""Opens one TCP connection, sends a line, and prints what came back as JSON; for clients that are not HTTP's.

`python dial.py HOST PORT TEXT SECONDS` ends after the answer to TEXT, the end of the connection, or SECONDS.
"""

from __future__ import annotations

import json
import socket
import sys
import time


def dial(host: str, port: int, text: str, seconds: float) -> dict[str, str]:
    """What was received, and what went wrong: nothing, or the error as the system words it."""
    ends = time.monotonic() + seconds
    received = b""
    failure = ""
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            connection.sendall(f"{text}\n".encode())
            while text.encode() not in received:
                connection.settimeout(max(ends - time.monotonic(), 0.01))
                part = connection.recv(65536)
                if not part:
                    failure = "the connection was closed"
                    break
                received += part
    except OSError as error:
        failure = str(error)
    return {"received": received.decode(errors="replace"), "failure": failure}


if __name__ == "__main__":
    print(json.dumps(dial(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))))
