// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

// Format is a framework's own names for what a mounted Secret holds.
type Format string

// Formats, by the names of IntrospectionClient's spec.secret.formats.
const (
	FormatEnv     Format = "Env"
	FormatSpring  Format = "Spring"
	FormatDotNet  Format = "DotNet"
	FormatQuarkus Format = "Quarkus"
)

// Shape says under which keys a mounted Secret holds its members.
type Shape struct {
	// Keys renames the standard keys. They are there with every format.
	Keys Keys
	// Formats add keys of their own.
	Formats []Format
}

// Data is the Secret's data. What is empty has no key, in no format.
func (m Mounted) Data(shape Shape) map[string][]byte {
	data := map[string][]byte{}
	add := func(named map[string]string) {
		for key, value := range named {
			if value != "" {
				data[key] = []byte(value)
			}
		}
	}
	add(m.standard(shape.Keys))
	for _, format := range shape.Formats {
		add(m.format(format))
	}
	return data
}

func (m Mounted) format(format Format) map[string]string {
	switch format {
	case FormatEnv:
		return m.env()
	case FormatSpring:
		return m.spring()
	case FormatDotNet:
		return m.dotNet()
	case FormatQuarkus:
		return m.quarkus()
	}
	return nil
}

// env are the members as environment variables. Neither `type` and `provider`, which say
// what a mounted Secret is, nor `ca.crt`: programs want its path, and a
// bundle may be longer than the 128 KiB that Linux allows one variable.
func (m Mounted) env() map[string]string {
	return map[string]string{
		"CLIENT_ID":              m.ClientID,
		"CLIENT_SECRET":          m.ClientSecret.Reveal(),
		"PRIVATE_KEY_PEM":        m.PrivateKey.Reveal(),
		"KEY_ID":                 m.KeyID,
		"ISSUER":                 m.Issuer,
		"INTROSPECTION_ENDPOINT": m.IntrospectionEndpoint,
		"TOKEN_ENDPOINT":         m.TokenEndpoint,
		"AUTHORIZE_URL":          m.AuthorizeURL,
		"JWKS_URI":               m.JWKSURI,
	}
}

// spring are properties of Spring Boot as its configtree reads them: a file each.
func (m Mounted) spring() map[string]string {
	const prefix = "spring.security.oauth2.resourceserver.opaquetoken."
	return map[string]string{
		prefix + "introspection-uri": m.IntrospectionEndpoint,
		prefix + "client-id":         m.ClientID,
		prefix + "client-secret":     m.ClientSecret.Reveal(),
	}
}

// dotNet are the options of Duende's OAuth2Introspection handler in a section of that
// name; .NET reads `__` as the section's delimiter, in variables and in files.
func (m Mounted) dotNet() map[string]string {
	const prefix = "OAuth2Introspection__"
	return map[string]string{
		prefix + "IntrospectionEndpoint": m.IntrospectionEndpoint,
		prefix + "ClientId":              m.ClientID,
		prefix + "ClientSecret":          m.ClientSecret.Reveal(),
	}
}

// quarkus are variables of quarkus-oidc. With discovery, the issuer's own endpoint and
// keys would be used in place of ours.
func (m Mounted) quarkus() map[string]string {
	const prefix = "QUARKUS_OIDC_"
	return map[string]string{
		prefix + "AUTH_SERVER_URL":    m.Issuer,
		prefix + "CLIENT_ID":          m.ClientID,
		prefix + "CREDENTIALS_SECRET": m.ClientSecret.Reveal(),
		prefix + "INTROSPECTION_PATH": m.IntrospectionEndpoint,
		prefix + "DISCOVERY_ENABLED":  "false",
	}
}
