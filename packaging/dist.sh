#!/bin/sh
# Builds what is shipped into TARGET/dist-files, from the profile `dist`. `dist.sh deb` and `dist.sh static` build one part.
#
# The same commit, the same compilers and the same Debian are to give the same bytes: times come from SOURCE_DATE_EPOCH, and
# paths of the machine are replaced. docs/installing.md says how to compare two builds.
set -eu
cd "$(dirname "$0")/.."
parts=${1:-deb static}
root=$PWD
target_dir=${CARGO_TARGET_DIR:-target}
files=$target_dir/dist-files
cargo_home=${CARGO_HOME:-$HOME/.cargo}
gnu=$(rustc -vV | sed -n 's/^host: //p')
musl=$(uname -m)-unknown-linux-musl
musl_variable=$(echo "$musl" | tr - _)

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
RUSTFLAGS="--remap-path-prefix=$root=/build --remap-path-prefix=$cargo_home=/cargo"
CFLAGS="-ffile-prefix-map=$root=/build -ffile-prefix-map=$cargo_home=/cargo"
export SOURCE_DATE_EPOCH RUSTFLAGS CFLAGS
umask 022

build() {
    cargo build --profile dist --locked --quiet --target "$1"
}

build_deb() {
    build "$gnu"
    packaging/build_deb.py "$target_dir/$gnu/dist/pointsman" "$files"
    packaging/sbom.py --target "$gnu" >"$files/pointsman-$gnu.cdx.json"
}

build_static() {
    if ! command -v musl-gcc >/dev/null; then
        echo "dist: no musl-gcc: apt-get install musl-tools" >&2
        exit 1
    fi
    if ! [ -d "$(rustc --print target-libdir --target "$musl")" ]; then
        echo "dist: no standard library for $musl: rustup target add $musl" >&2
        exit 1
    fi
    export "CC_$musl_variable=musl-gcc"
    build "$musl"
    mkdir -p "$files/container/state"
    strip -o "$files/container/pointsman" "$target_dir/$musl/dist/pointsman"
    cp /etc/ssl/certs/ca-certificates.crt "$files/container/"
    cp "$files/container/pointsman" "$files/pointsman-$musl"
    packaging/sbom.py --target "$musl" >"$files/pointsman-$musl.cdx.json"
}

rm -rf "$files"
mkdir -p "$files"
for part in $parts; do
    case $part in
    deb) build_deb ;;
    static) build_static ;;
    *)
        echo "dist: found the part $part, expected deb or static" >&2
        exit 2
        ;;
    esac
done
(cd "$files" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum >SHA256SUMS && cat SHA256SUMS)
