#!/bin/sh
# Holds the page of metrics and the shipped alerts against Prometheus' own tool. Debian's package installs 96 MB, so
# the suite does not ask for it: this fetches it (19 MB) and takes out the one program.
set -eu
cd "$(dirname "$0")/.."

if [ -z "${PROMTOOL:-}" ] && ! PROMTOOL=$(command -v promtool); then
    folder=target/promtool
    mkdir -p "$folder"
    PROMTOOL=$PWD/$folder/usr/bin/promtool
    if [ ! -x "$PROMTOOL" ]; then
        (cd "$folder" && apt-get download prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar x ./usr/bin/promtool)
    fi
fi
export PROMTOOL
"$PROMTOOL" check rules contrib/prometheus/alerts.yml
cargo test -p pointsman-observe --quiet promtool
