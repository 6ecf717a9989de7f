# The first stage builds the binary. The SQL parser is C, so a C compiler is there and the binary is linked with libc: the second stage
# is of the same Debian release.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -buildvcs=false -ldflags="-s -w" -o /out/segue ./cmd/segue

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 segue \
 && useradd --system --uid 10001 --gid segue --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin segue \
 && install -d -o segue -g segue -m 0700 /run/segue
COPY --from=build /out/segue /usr/local/bin/segue
USER 10001:10001
EXPOSE 6432
# Segue drains on SIGTERM. Settings come from flags, from the environment (SEGUE_CONTROL_DSN) or from a file given by -c.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/segue"]
CMD ["serve", "--listen", "0.0.0.0:6432"]
