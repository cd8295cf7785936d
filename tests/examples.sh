#!/usr/bin/env bash
# What every example server must do beside its echo, over real sockets: shut down gracefully, survive a lack of descriptors,
# let go of clients that leave or take nothing, and answer those that have closed their half, read slowly, or send much.
# usage: tests/examples.sh [--servers NAME,...] [--checks NAME,...]   see tests/examples.py; default: all
#   PYTHON   a Python 3 (default python3.11)
set -euo pipefail

cd "$(dirname "$0")/.."
cargo build --release --workspace --all-features --example echo_server --example smol_server --example compio_server \
    --example mio_server --example epoll_server --example hyper_server --example axum_server --example interop_large
exec "${PYTHON:-python3.11}" tests/examples.py "$@" "${CARGO_TARGET_DIR:-target}/release/examples"
