#!/bin/sh
# Installs the packages of packages.txt and packages-browser.txt that are missing. Starts no server, and the laboratory uses nothing of /etc.
set -eu

missing=
for package in $(cat "$(dirname "$0")/packages.txt" "$(dirname "$0")/packages-browser.txt" | grep -v '^#'); do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done

if [ -z "$missing" ]; then
    echo "lab: all packages are installed"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "lab: missing:$missing" >&2
    echo "lab: to install them: sudo $0" >&2
    exit 1
fi

# The packages would like to start their daemons; the laboratory starts its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
apt-get update
# shellcheck disable=SC2086  # a list
apt-get install -y --no-install-recommends $missing
