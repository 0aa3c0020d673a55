#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs every fuzz target for FUZZTIME (20s), one after the other. What it finds is
# kept by go test in the package's testdata/fuzz: commit it as a seed.
set -euo pipefail
cd "$(dirname "$0")/.."

time="${FUZZTIME:-20s}"
targets=()
while IFS=: read -r file line; do
  name="${line#func }"
  targets+=("./$(dirname "$file") ${name%%(*}")
done < <(grep -rH --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9_]+\(' "${FUZZ:-.}" | sed 's|^\./||' | sort)

for target in "${targets[@]}"; do
  read -r package name <<<"$target"
  echo "== $package $name"
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -parallel 2 "$package" | tail -n 2
done
echo "${#targets[@]} fuzz targets ran for $time each"
