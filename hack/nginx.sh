#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Sees to it that there is an nginx for the gateway's tests.
set -euo pipefail

if command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]]; then
  exit 0
fi
if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
  echo "nginx: installing nginx-light by apt-get"
  apt-get update -qq </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light </dev/null >/dev/null
  exit 0
fi
echo "nginx is missing: install it (Debian: apt-get install nginx-light), then run make again" >&2
exit 1
