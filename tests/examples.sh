#!/usr/bin/env bash
# What every example server must do beside its echo, over real sockets: shut down gracefully, survive a lack of descriptors,
# let go of clients that leave, and answer a client that has closed its half.
# usage: tests/examples.sh [--servers NAME,...] [--checks NAME,...]   see tests/examples.py; default: all
#   PYTHON   a Python 3 (default python3.11)
set -euo pipefail

cd "$(dirname "$0")/.."
cargo build --release --all-features --example echo_server --example mio_server --example epoll_server --example hyper_server --example axum_server
exec "${PYTHON:-python3.11}" tests/examples.py "$@" "${CARGO_TARGET_DIR:-target}/release/examples"
