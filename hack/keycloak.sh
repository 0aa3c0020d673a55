#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Puts a Keycloak, built with the features the tests need, into the cache:
# from KEYCLOAK_HOME (copied, never written to) or from Maven.
set -euo pipefail

version=26.7.3
cache="${XDG_CACHE_HOME:-$HOME/.cache}/introspection-operator/keycloak"
source="${KEYCLOAK_HOME:-$version}"
home="$cache/${KEYCLOAK_HOME:+from-home}"
[[ -n "${KEYCLOAK_HOME:-}" ]] || home="$cache/$version"

# The test environment reads this mark; it is written last.
if [[ "$(cat "$home/.built" 2>/dev/null)" == "$source" ]]; then
  echo "keycloak: $source is in $home"
  exit 0
fi

need() {
  command -v "$1" >/dev/null || { echo "keycloak: $1 is missing: install $2" >&2; exit 1; }
}
need java "Java 17 or newer"
mkdir -p "$cache"

# Two runs at once must not build over each other.
if command -v flock >/dev/null; then
  exec 9>"$cache/.lock"
  flock 9
  [[ "$(cat "$home/.built" 2>/dev/null)" != "$source" ]] || exit 0
fi

rm -rf "$home"
mkdir -p "$home"
if [[ -n "${KEYCLOAK_HOME:-}" ]]; then
  echo "keycloak: 1/2 copying $KEYCLOAK_HOME to $home"
  (cd "$KEYCLOAK_HOME" && tar -cf - bin conf lib providers themes) | tar -xf - -C "$home"
else
  need mvn "Maven"
  archive="$cache/keycloak-quarkus-dist-$version.tar.gz"
  echo "keycloak: 1/2 fetching org.keycloak:keycloak-quarkus-dist:$version:tar.gz by Maven (168 MiB)"
  mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact="org.keycloak:keycloak-quarkus-dist:$version:tar.gz" \
    -DoutputDirectory="$cache" </dev/null
  tar -xzf "$archive" -C "$home" --strip-components=1
  rm -f "$archive"
fi
echo "keycloak: 2/2 building it with the features the tests need (about 30 s)"
if ! "$home/bin/kc.sh" build --db=dev-file --health-enabled=true \
  --features=client-secret-rotation,client-auth-federated >"$cache/build.log" 2>&1 </dev/null; then
  cat "$cache/build.log" >&2
  exit 1
fi
echo "$source" >"$home/.built"
echo "keycloak: ready in $home"
