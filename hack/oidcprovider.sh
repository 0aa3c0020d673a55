#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Puts the node-oidc-provider that tests run against into the cache, by npm, as
# test/env/oidcprovider/package-lock.json pins it.
set -euo pipefail
cd "$(dirname "$0")/../test/env/oidcprovider"

hash="$(sha256sum package-lock.json | cut -c1-16)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/introspection-operator/oidcprovider"
home="$cache/$hash"

# Whoever starts it needs node, also when npm has done its work already.
missing=()
command -v node >/dev/null || missing+=(nodejs)
[[ -e "$home/.built" ]] || command -v npm >/dev/null || missing+=(npm)
if ((${#missing[@]})); then
  if [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "oidc-provider: ${missing[*]} is missing: install Node.js 20 or newer with npm (Debian: apt-get install nodejs npm), then run make again" >&2
    exit 1
  fi
  echo "oidc-provider: installing ${missing[*]} by apt-get"
  apt-get update -qq </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi
if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)'; then
  echo "oidc-provider: this is Node.js $(node --version): install 20 or newer" >&2
  exit 1
fi

# The test environment needs this mark; it is written last.
if [[ -e "$home/.built" ]]; then
  echo "oidc-provider: ready in $home"
  exit 0
fi
mkdir -p "$cache"

# Two runs at once must not install over each other.
if command -v flock >/dev/null; then
  exec 9>"$cache/.lock"
  flock 9
  [[ ! -e "$home/.built" ]] || exit 0
fi

echo "oidc-provider: fetching it by npm (40 packages, 3 MiB)"
rm -rf "$home"
mkdir -p "$home"
cp package.json package-lock.json "$home/"
(cd "$home" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >/dev/null)
touch "$home/.built"
echo "oidc-provider: ready in $home"
