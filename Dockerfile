# Builds an image that holds the static program and nothing else.
#
#   docker build -t doorward .
#
# Without access to crates.io, vendor the crates first:
#
#   cargo vendor target/vendor > target/vendor.toml
#   docker build --build-arg CARGO_OPTIONS="--offline --config target/vendor.toml" -t doorward .

FROM docker.io/library/rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates cmake g++ make musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /source
COPY . .
ARG CARGO_OPTIONS=""
RUN cargo build $CARGO_OPTIONS --locked --profile dist --package doorward --target "$(uname -m)-unknown-linux-musl" \
    && install -D "target/$(uname -m)-unknown-linux-musl/dist/doorward" /image/usr/bin/doorward \
    && install -D --target-directory /image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
    && install -d --owner 65532 --group 65532 --mode 0700 /image/data

FROM scratch
COPY --from=build /image /
# A user without a name: the image has no user database.
USER 65532:65532
VOLUME /data
ENV PATH=/usr/bin DOORWARD_CONFIG=/data/doorward.toml
EXPOSE 8400
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["/usr/bin/doorward", "health"]
ENTRYPOINT ["/usr/bin/doorward"]
CMD ["serve"]
