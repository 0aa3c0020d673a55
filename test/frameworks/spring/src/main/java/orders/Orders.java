// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package orders;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.security.core.Authentication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** An API that says who asks. The rest of it is on the documentation's page. */
@SpringBootApplication
@RestController
public class Orders {
  @GetMapping("/orders")
  String orders(Authentication caller) {
    return caller.getName();
  }

  public static void main(String[] arguments) {
    SpringApplication.run(Orders.class, arguments);
  }
}
