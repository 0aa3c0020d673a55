// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// A real node-oidc-provider on 127.0.0.1. The environment's OIDCPROVIDER is what StartOIDCProvider in
// oidcprovider.go says, in JSON: no secret stands on a command line. Everything is in memory.
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const options = JSON.parse(process.env.OIDCPROVIDER);
delete process.env.OIDCPROVIDER;

const scope = options.scopes.join(' ');

const resources = new Map([
  ...options.opaqueResources.map((resource) => [resource, 'opaque']),
  ...options.jwtResources.map((resource) => [resource, 'jwt']),
]);

async function getResourceServerInfo(_ctx, resource, _client) {
  // A resource that nobody set up is one too: opaque tokens, and the audience as asked for.
  const accessTokenFormat = resources.get(resource) ?? 'opaque';
  return { scope, audience: resource, accessTokenTTL: 900, accessTokenFormat };
}

const provider = new Provider(options.issuer, {
  clients: [{
    client_id: options.tokenClient.id,
    client_secret: options.tokenClient.secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  }],
  scopes: [...options.scopes],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'],
  // Off, as its users have it, unless a test asks: what is not named here is dropped from a registration.
  extraClientMetadata: { properties: options.extraMetadata },
  features: {
    devInteractions: { enabled: false },
    registration: {
      enabled: true,
      initialAccessToken: options.initialAccessToken || false,
      issueRegistrationAccessToken: options.registrationToken,
    },
    registrationManagement: {
      enabled: options.management,
      rotateRegistrationAccessToken: options.rotateRegistrationAccessToken,
    },
    introspection: { enabled: true },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo },
  },
});

provider.on('server_error', (_ctx, err) => console.error(err));

const server = createServer(provider.callback());
server.listen(options.port, '127.0.0.1');
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close();
    server.closeAllConnections();
  });
}
