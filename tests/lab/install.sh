#!/bin/sh
# Installs what is missing of packages.txt, packages-browser.txt (Debian's) and packages-python.txt (PyPI's), and unpacks
# the servers of packages-servers.txt.
# Starts no server, and the laboratory uses nothing of /etc.
set -eu

here=$(dirname "$0")

# A folder of our own, not the system's: nobody else's modules change by it.
install_python() {
    folder=$here/../../target/lab-python
    cmp -s "$here/packages-python.txt" "$folder/packages.txt" && return
    rm -rf "$folder"
    mkdir -p "$folder"
    # pip warns of other modules of this machine, which these do not touch: shown when it fails.
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$folder" \
        --requirement "$here/packages-python.txt" 2>"$folder.log" || { cat "$folder.log" >&2; exit 1; }
    cp "$here/packages-python.txt" "$folder/packages.txt"
}

# Unpacks, without installing: the packages' scripts do not run.
unpack_servers() {
    grep -v '^#' "$here/packages-servers.txt" | while read -r name packages; do
        folder=$here/../../target/lab-servers/$name
        [ "$(cat "$folder.packages" 2>/dev/null)" = "$packages" ] && continue
        rm -rf "$folder"
        mkdir -p "$folder/download"
        # shellcheck disable=SC2086  # a list
        (cd "$folder/download" && apt-get download -qq -o APT::Sandbox::User=root $packages)
        for package in "$folder"/download/*.deb; do dpkg-deb -x "$package" "$folder"; done
        rm -r "$folder/download"
        # The machine's /bin, /sbin and /lib are links to /usr, which a folder of the same name would hide.
        for top in bin sbin lib; do
            [ -d "$folder/$top" ] || continue
            mkdir -p "$folder/usr/$top"
            cp -a "$folder/$top/." "$folder/usr/$top/"
            rm -r "${folder:?}/$top"
        done
        echo "$packages" >"$folder.packages"
    done
}

missing=
for package in $(cat "$here/packages.txt" "$here/packages-browser.txt" | grep -v '^#'); do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done

if [ -z "$missing" ]; then
    install_python
    unpack_servers
    echo "lab: all packages are installed"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "lab: missing:$missing" >&2
    echo "lab: to install them: sudo $0" >&2
    exit 1
fi

# The packages' scripts start their services, and enable them for the next boot. The laboratory starts its own servers.
policy=/usr/sbin/policy-rc.d
saved=$policy.pointsman-lab
# An earlier run that was killed may have left the machine's own file there.
[ -e "$saved" ] || [ ! -e "$policy" ] || mv "$policy" "$saved"
before=$(mktemp)
clean_up() {
    rm -f "$policy" "$before"
    [ ! -e "$saved" ] || mv "$saved" "$policy"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

installed() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u
}

# Disables the services of packages that were not there before.
disable_services() {
    for package in $1; do
        for unit in $(dpkg -L "$package" | sed -n 's:.*/systemd/system/\([^/]*\.\(service\|socket\|timer\|path\)\)$:\1:p'); do
            # Templates without a name have nothing to disable.
            case $unit in *@.*) continue ;; esac
            systemctl disable --quiet "$unit" 2>/dev/null || true
        done
        for script in $(dpkg -L "$package" | sed -n 's:^/etc/init\.d/::p'); do
            update-rc.d "$script" disable >/dev/null 2>&1 || true
        done
    done
}

export DEBIAN_FRONTEND=noninteractive
echo "lab: installing:$missing"
echo "lab: their services are neither started nor enabled"
installed >"$before"
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
apt-get update
# shellcheck disable=SC2086  # a list
apt-get install -y --no-install-recommends $missing
disable_services "$(installed | comm -13 "$before" -)"
install_python
unpack_servers
