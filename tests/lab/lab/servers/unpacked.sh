#!/bin/sh
# Runs a server whose Debian package cannot be installed beside another one: unpacked.sh SCRATCH PACKAGES SHARED COMMAND…
# Needs a mount namespace of its own. In it the server sees the machine's files with the unpacked PACKAGES on top; what it
# writes is gone with it, except below SHARED.
set -eu
scratch=$1 packages=$2 shared=$3
shift 3
mount -t tmpfs -o mode=755 tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
# A copy: a layer must not be a folder of the layer below.
cp -a "$packages" "$scratch/packages"
mount -t overlay -o "lowerdir=$scratch/packages:/,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$scratch/root"
mount --bind "$shared" "$scratch/root$shared"
mount --rbind /dev "$scratch/root/dev"
mount -t proc proc "$scratch/root/proc"
exec chroot "$scratch/root" "$@"
