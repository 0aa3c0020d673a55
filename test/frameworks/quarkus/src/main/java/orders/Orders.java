// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package orders;

import io.quarkus.security.Authenticated;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.SecurityContext;

/** An API that says who asks. The rest of it is configuration. */
@Path("/orders")
public class Orders {
  @GET
  @Authenticated
  public String orders(@Context SecurityContext caller) {
    return caller.getUserPrincipal().getName();
  }
}
