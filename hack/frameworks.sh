#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Builds the programs of test/frameworks, completed by the tested blocks of
# docs/frameworks.md, into the cache. Maven fetches what they are made of.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/introspection-operator/frameworks"
page=docs/frameworks.md

# The test environment hashes the same, and looks below that name.
key="$(find test/frameworks -type f | LC_ALL=C sort | xargs cat "$page" | sha256sum | cut -d' ' -f1)"
home="$cache/$key"
if [[ -e "$home/.built" ]]; then
  echo "frameworks: built in $home"
  exit 0
fi

need() {
  command -v "$1" >/dev/null || { echo "frameworks: $1 is missing: install $2" >&2; exit 1; }
}
need java "Java 17 or newer"
need javac "a JDK 17 or newer, not only the runtime"
need mvn "Maven"
mkdir -p "$cache"

# Two runs at once must not build over each other.
if command -v flock >/dev/null; then
  exec 9>"$cache/.lock"
  flock 9
  [[ ! -e "$home/.built" ]] || exit 0
fi

# Older sources' programs; another checkout may still use those of today.
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rm -rf {} +
rm -rf "$home"
mkdir -p "$home"
cp -r test/frameworks/* "$home/"
mkdir -p "$home"/{spring,quarkus}/src/main/resources

# `<!-- tested: path -->` names the file that the next block is.
awk -v home="$home" '
  /^<!-- tested: .* -->$/ { path = home "/" $3; next }
  /^```/ { if (path != "" && writing) { close(path); path = ""; writing = 0 } else if (path != "") { writing = 1; printf "" > path } ; next }
  writing { print > path }
' "$page"

build() {
  echo "frameworks: building $1 (a minute the first time)"
  (cd "$home/$1" && mvn --quiet --batch-mode -Dmaven.test.skip=true package </dev/null >"$home/$1.log" 2>&1) ||
    { cat "$home/$1.log" >&2; exit 1; }
}
build spring
build quarkus
touch "$home/.built"
echo "frameworks: ready in $home"
