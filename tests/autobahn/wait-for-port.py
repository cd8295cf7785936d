#!/usr/bin/env python3
"""Wait until a loopback port accepts connections: wait-for-port.py PORT PID; fails once the process PID is gone."""

import os
import socket
import sys
import time

port, pid = int(sys.argv[1]), int(sys.argv[2])
for _ in range(300):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        sys.exit(f"process {pid} ended before it listened on port {port}")
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        sys.exit()
    except OSError:
        time.sleep(0.1)
sys.exit(f"nothing listens on port {port} after 30 s")
