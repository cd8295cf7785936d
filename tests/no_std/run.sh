#!/usr/bin/env bash
# Build the static library for a target that has no std, with and without the handshake, and link it into an image with
# nothing else: whatever needs std does not compile, whatever needs a C library does not link.
set -euo pipefail

cd "$(dirname "$0")"
target=thumbv7em-none-eabihf
# Beside the other builds.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-../../target}

rustup target list --installed | grep -qx "$target" || rustup target add "$target"
host=$(rustc -vV | sed -n 's/^host: //p')
lld=$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld

for features in "" handshake; do
    cargo build --release --target "$target" --features "$features"
    image=$CARGO_TARGET_DIR/$target/release/sansock-no-std.elf
    "$lld" -flavor gnu --no-undefined --gc-sections --entry=sansock_echo --undefined=sansock_greet -o "$image" \
        "$CARGO_TARGET_DIR/$target/release/libsansock_no_std.a"
    echo "no_std: linked for $target with features [$features]"
done
