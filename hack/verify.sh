#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Checks what is neither a test nor a lint: what is generated is up to date,
# files are formatted, licensed and where they belong. Says everything that is
# wrong, then fails.
# shellcheck disable=SC2317 # the checks are called by check, by name
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

bin="${XDG_CACHE_HOME:-$HOME/.cache}/introspection-operator/bin"
before="$(mktemp -d)"
trap 'rm -rf "$before"' EXIT
bad=0

# check WHAT COMMAND…: a failure is told with the command's words.
check() {
  local what="$1" out
  shift
  if out="$("$@" 2>&1)"; then
    echo "ok    $what"
  else
    echo "WRONG $what"
    echo "      ${out//$'\n'/$'\n'      }"
    bad=1
  fi
}

# ours lists the project's files, committed or about to be.
ours() {
  git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
    [[ ! -e "$file" ]] || echo "$file"
  done
}

generated() {
  ours 'api/*/zz_generated.*.go' config/crd/bases docs/reference/api.md docs/reference/conditions.md docs/servers/capabilities.md charts/introspection-operator/README.md
}

# Compared with what is there and not with the last commit, so that it also
# tells somebody who has not committed yet.
up_to_date() {
  local name
  generated | while read -r name; do
    mkdir -p "$before/$(dirname "$name")" && cp "$name" "$before/$name"
  done
  make --no-print-directory generate || return 1
  generated | while read -r name; do
    diff -u "$before/$name" "$name" || exit 1
  done
}

# In a clean checkout, also nothing that should have been committed.
unchanged() {
  local status
  status="$(git status --porcelain)"
  [[ -z "$status" ]] || { echo "$status"; return 1; }
}

formatted() {
  "$bin/golangci-lint" fmt --diff
}

licensed() {
  local file rc=0
  while read -r file; do
    if [[ "$(head -n 5 "$file" | grep -cE '^(//|#) (Copyright The introspection-operator Authors\.|SPDX-License-Identifier: Apache-2\.0)$')" != 2 ]]; then
      echo "$file: the header of hack/boilerplate.go.txt is missing"
      rc=1
    fi
  done < <(ours '*.go' '*.sh' .ci/run)
  return "$rc"
}

laid_out() {
  local name rc=0
  while read -r name; do
    case "$name" in
      api | controllers | config | webhook | hack | charts | test | docs) ;;
      main.go | go.mod | go.sum | Makefile | PROJECT | README.md | LICENSE | Dockerfile) ;;
      .*) ;;
      *)
        echo "$name does not belong at the top"
        rc=1
        ;;
    esac
  done < <(ours | cut -d/ -f1 | sort -u)
  return "$rc"
}

scripts() {
  ours '*.sh' .ci/run | xargs shellcheck
}

echo "verify:"
check "generated files are up to date (make generate)" up_to_date
check "formatting (golangci-lint fmt)" formatted
check "go vet" go vet ./...
check "go.mod is tidy" go mod tidy -diff
check "licence headers" licensed
check "top-level layout" laid_out
check "shellcheck" scripts
check "yamllint" yamllint --strict .
[[ -z "${CI:-}" ]] || check "nothing uncommitted" unchanged
exit "$bad"
