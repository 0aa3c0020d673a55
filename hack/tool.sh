#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Builds a tool of a module under hack/ into the cache, unless it is there as
# that module's go.mod has it: tool.sh MODULE NAME PACKAGE
set -euo pipefail

module="$(cd "$(dirname "$0")/$1" && pwd)"
name="$2" package="$3"
bin="${XDG_CACHE_HOME:-$HOME/.cache}/introspection-operator/bin"
mkdir -p "$bin"

built="$package $(go env GOVERSION) $(sha256sum <"$module/go.sum" | cut -c1-64)"
if [[ -x "$bin/$name" && "$(cat "$bin/.$name" 2>/dev/null)" == "$built" ]]; then
  exit 0
fi
echo "building $name into $bin (some minutes the first time)"
# Renamed into place: another run may be using the old one.
go -C "$module" build -trimpath -o "$bin/.$name.$$" "$package"
mv "$bin/.$name.$$" "$bin/$name"
echo "$built" >"$bin/.$name"
