#!/bin/sh
# Makes the two images that compose.yaml uses, from this checkout. The harness does not
# need this: it builds its images itself, through the Engine API.
set -eu
cd "$(dirname "$0")/.."
arch=$(docker version --format '{{.Server.Arch}}')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/data" "$work/none"
CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -o "$work/cartwheeld" ./store/cmd/cartwheeld
docker build --quiet --tag cartwheel-store:dev --file docker/store.Dockerfile "$work"

if ! docker build --quiet --tag cartwheel-host:dev --file docker/host.Dockerfile "$work/none"; then
	echo "no base image; making one from Debian's packages" >&2
	docker/base.sh "$arch" "$work/base.tar"
	docker import --change 'CMD ["sleep", "infinity"]' "$work/base.tar" cartwheel-host:dev
fi
