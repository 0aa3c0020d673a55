# One binary, two processes: `controller` and `webhook`.
ARG GO_VERSION=1.26

FROM --platform=${BUILDPLATFORM} golang:${GO_VERSION} AS build
ARG TARGETOS
ARG TARGETARCH
# A proxy of your own: --build-arg GOPROXY=https://…
ARG GOPROXY
WORKDIR /src
# Dependencies first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download
COPY main.go ./
COPY api/ api/
COPY controllers/ controllers/
COPY webhook/ webhook/
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false -ldflags="-s -w" -o /introspection-operator .

# No shell, no package, no user database: the roots that public authorization servers
# are verified with, and the binary.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /introspection-operator /introspection-operator
USER 65532:65532
ENTRYPOINT ["/introspection-operator"]
