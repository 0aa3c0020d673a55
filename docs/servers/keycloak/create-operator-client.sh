#!/usr/bin/env bash
# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Makes the client that the operator signs in with, in a realm of Keycloak, with
# the one role it needs, and writes client_id and client_secret into the current
# directory, for `kubectl create secret generic --from-file`. Run again, it
# changes nothing but the files.
#
#   kcadm.sh config credentials --server https://sso.example.com --realm master --user admin
#   create-operator-client.sh REALM [CLIENT_ID]
#
# KCADM names kcadm.sh if it is not on the PATH.
set -euo pipefail
umask 077

if [[ $# -lt 1 || $# -gt 2 ]]; then
  echo "usage: $0 REALM [CLIENT_ID]" >&2
  exit 2
fi
realm=$1
client_id=${2:-introspection-operator}
kcadm=${KCADM:-kcadm.sh}

id=$("$kcadm" get clients -r "$realm" -q "clientId=$client_id" --fields id --format csv --noquotes)
if [[ -z $id ]]; then
  id=$("$kcadm" create clients -r "$realm" -i \
    -s "clientId=$client_id" -s "name=introspection-operator" \
    -s protocol=openid-connect -s publicClient=false -s clientAuthenticatorType=client-secret \
    -s serviceAccountsEnabled=true -s standardFlowEnabled=false -s implicitFlowEnabled=false \
    -s directAccessGrantsEnabled=false -s fullScopeAllowed=true)
fi

"$kcadm" add-roles -r "$realm" --uusername "service-account-$client_id" \
  --cclientid realm-management --rolename manage-clients

printf '%s' "$client_id" >client_id
"$kcadm" get "clients/$id/client-secret" -r "$realm" --fields value --format csv --noquotes | tr -d '\n' >client_secret
echo "Client $client_id of realm $realm may manage clients. Its credentials are in ./client_id and ./client_secret."
