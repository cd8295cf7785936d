#!/usr/bin/env bash
# The published crates compile with the lowest version of each direct dependency that their manifests admit. In a copy, so
# that the lock file of the checkout stays as it is. Needs the nightly toolchain to resolve, and compiles with the usual one.
# usage: tests/minimal_versions.sh
set -euo pipefail

cd "$(dirname "$0")/.."
copy=$PWD/target/minimal-versions
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/minimal-versions-build
rm -rf "$copy"
mkdir -p "$copy"
tar -c --exclude=target Cargo.toml README.md src tests examples crates integration benches | tar -x -C "$copy"
cd "$copy"
cargo +nightly -Z direct-minimal-versions generate-lockfile
cargo check --locked -p sansock -p sansock-axum -p sansock-compio --all-features --lib
