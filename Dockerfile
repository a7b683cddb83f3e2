# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# The dependencies in a layer of their own, which only a change of the manifests builds again. Cargo wants a file for
# every target that the manifest names.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it \
    && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs > build.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --bin pushbox \
    && rm -r src build.rs
COPY . .
# Cargo looks at times of change, and these files may be older than the empty ones were.
RUN find src build.rs -exec touch {} + \
    && cargo build --release --locked --bin pushbox \
    && strip --strip-debug target/release/pushbox -o /pushbox

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/pushbox --create-home pushbox
COPY --from=build /pushbox /usr/local/bin/pushbox
USER 10001
WORKDIR /var/lib/pushbox
# Only with a managed Postgres does anything land here; there is none in this image, so DATABASE_URL is needed.
ENV DATA_DIR=/var/lib/pushbox LOG_FORMAT=json
EXPOSE 8000 9000
# Every process serves its health on the admin listener. bash speaks TCP; the image needs no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9000 && printf 'GET /health/ready HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [[ $status == 200 ]]"]
ENTRYPOINT ["pushbox"]
CMD ["serve"]
