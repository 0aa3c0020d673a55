#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Builds the control plane of the tests and the demo from its Go modules into
# the cache. The archives that setup-envtest downloads have no controller
# manager, so there would be something to build in any case.
set -euo pipefail

module="$(cd "$(dirname "$0")/envtest" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/introspection-operator/k8s"
mkdir -p "$cache"

version="$(go -C "$module" list -m -f '{{.Version}}' k8s.io/kubernetes)"
minor="${version#v1.}" minor="${minor%%.*}"
built="$version $(go env GOVERSION) $(sha256sum <"$module/go.sum" | cut -c1-64)"

if command -v flock >/dev/null; then
  exec 9>"$cache/.lock"
  flock 9
fi

flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

step=0
for package in go.etcd.io/etcd/server/v3 \
  k8s.io/kubernetes/cmd/kube-apiserver \
  k8s.io/kubernetes/cmd/kube-controller-manager \
  k8s.io/kubernetes/cmd/kubectl; do
  name="${package##*/}"
  [[ "$name" != v3 ]] || name=etcd
  step=$((step + 1))
  if [[ -x "$cache/$name" && "$(cat "$cache/.$name" 2>/dev/null)" == "$built" ]]; then
    continue
  fi
  echo "envtest: $step/4 building $name for Kubernetes $version (all four: about 6 minutes the first time on two cores)"
  began=$SECONDS
  # Renamed into place: another run may be using the old one.
  go -C "$module" build -ldflags "$flags" -o "$cache/.$name.$$" "$package"
  mv "$cache/.$name.$$" "$cache/$name"
  echo "$built" >"$cache/.$name"
  echo "envtest: $name took $((SECONDS - began)) s"
done
echo "envtest: Kubernetes $version is in $cache"
