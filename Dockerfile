# The image of the node: the program, the C library that it needs, and nothing else: no shell, no package manager.
#
#   docker build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) -t concordat .
#
# The number is the time of the image's files, so that the same sources give the same ones; without it, it is 1970.
# Where there is no container engine, image/build makes the same image of a program that is built already.

FROM rust:1.95.0-bookworm AS build
# Said here, it comes before rust-toolchain.toml, for whose other components rustup would go to the network.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
ARG SOURCE_DATE_EPOCH=0
# What was compiled stays in caches between builds; no path of this machine is in the program.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=cargo" \
    cargo build --release --locked && image/root target/release/concordat /image

FROM scratch
COPY --from=build /image/ /
# The same number as in the chart: it must not be root, and a name would not show that.
USER 65532:65532
WORKDIR /
EXPOSE 8443 9464
LABEL org.opencontainers.image.title="concordat"
LABEL org.opencontainers.image.description="A consent-gated, provable exchange of cyber-incident information between agencies"
LABEL org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/concordat"]
CMD ["--help"]
