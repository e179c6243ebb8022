#!/bin/sh
# Makes the file system of the host image from Debian's packages, for machines that
# reach a Debian mirror but no image registry.
#   base.sh ARCHITECTURE OUT.tar
# ARCHITECTURE is what the engine says of its machine: amd64, arm64, ...
set -eu
case $1 in # Debian has its own names
386) arch=i386 ;;
arm) arch=armhf ;;
ppc64le) arch=ppc64el ;;
*) arch=$1 ;;
esac
out=$2

if ! command -v mmdebstrap >/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing mmdebstrap" >&2
		export DEBIAN_FRONTEND=noninteractive
		need="mmdebstrap debian-archive-keyring"
		# shellcheck disable=SC2086
		apt-get install -qq -y --no-install-recommends $need >&2 ||
			{ apt-get update -qq >&2 && apt-get install -qq -y --no-install-recommends $need >&2; }
	else
		cat >&2 <<-'END'
			mmdebstrap is missing. Do one of these:
			  Debian, Ubuntu:  sudo apt-get install mmdebstrap debian-archive-keyring
			  anywhere:        bring the image debian:bookworm-slim, by 'docker pull' or 'docker load'
		END
		exit 1
	fi
fi

# Nobody reads manuals in there, and nothing is installed later.
exec mmdebstrap --quiet --variant=essential --architectures="$arch" \
	--include=bash,iproute2,iptables,strace,tcpdump \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/info/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	bookworm "$out"
