# One image per process: `docker build --target api .` (api, gateway, operator, web, device-sim).
# Node runs the TypeScript as it is, so an image is the official Node, the packages of one workspace and its sources.
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

# What npm needs to know, and nothing that changes with every commit.
FROM ${NODE_IMAGE} AS manifests
WORKDIR /app
ENV NO_COLOR=1 npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
COPY package.json package-lock.json ./
COPY api/package.json api/
COPY conformance/package.json conformance/
COPY device-sim/package.json device-sim/
COPY observability/package.json observability/
COPY operator/package.json operator/
COPY platform/package.json platform/
COPY protocol/package.json protocol/
COPY testkit/package.json testkit/
COPY tunnel-gateway/package.json tunnel-gateway/
COPY web/package.json web/
# What packages carry for compilers and debuggers, a third of them by size.
RUN printf '%s\n' '#!/bin/sh' 'find node_modules -type f \( -name "*.map" -o -name "*.d.ts" -o -name "*.d.cts" -o -name "*.d.mts" \) -delete' \
  > /usr/local/bin/trim-packages && chmod 0755 /usr/local/bin/trim-packages

FROM manifests AS api-packages
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --workspace @wmoc/api && trim-packages

FROM manifests AS gateway-packages
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --workspace @wmoc/tunnel-gateway && trim-packages

FROM manifests AS device-sim-packages
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --workspace @wmoc/device-sim && trim-packages

# Numeric user, so that Kubernetes can tell that it isn't root. The base's package managers are of no use to a process.
# The compile cache is filled below, by the user that reads it: a quarter (api) to a half (gateway, operator) of the CPU of a start.
FROM ${NODE_IMAGE} AS runtime
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn* \
  && mkdir -p /app/.compile-cache && chown 65532:65532 /app/.compile-cache
WORKDIR /app
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compile-cache
STOPSIGNAL SIGTERM
ENTRYPOINT ["node"]
LABEL org.opencontainers.image.vendor="WMOC" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="https://github.com/wmoc/wmoc"

FROM runtime AS api
LABEL org.opencontainers.image.title="wmoc-api" org.opencontainers.image.description="Control plane of WMOC: API, worker, migrations"
ENV HOST=0.0.0.0 INTERNAL_HOST=0.0.0.0 ADMIN_HOST=0.0.0.0
EXPOSE 8081 8082 9081
COPY --from=api-packages /app ./
COPY protocol/src protocol/src
COPY platform/src platform/src
COPY api/migrations api/migrations
COPY api/src api/src
USER 65532:65532
RUN node api/src/main.ts --help > /dev/null
CMD ["api/src/main.ts"]

FROM runtime AS gateway
LABEL org.opencontainers.image.title="wmoc-gateway" org.opencontainers.image.description="Data plane of WMOC: tunnels of controllers, and people's requests to them"
ENV HOST=0.0.0.0 ADMIN_HOST=0.0.0.0 PEER_HOST=0.0.0.0 PORT=8080 PEER_PORT=7443
EXPOSE 8080 7443 9082
COPY --from=gateway-packages /app ./
COPY protocol/src protocol/src
COPY platform/src platform/src
COPY tunnel-gateway/src tunnel-gateway/src
USER 65532:65532
RUN node tunnel-gateway/src/main.ts --help > /dev/null
CMD ["tunnel-gateway/src/main.ts"]

FROM runtime AS device-sim
LABEL org.opencontainers.image.title="wmoc-device-sim" org.opencontainers.image.description="Simulated controllers for WMOC"
COPY --from=device-sim-packages /app ./
COPY protocol/src protocol/src
COPY platform/src platform/src
COPY device-sim/src device-sim/src
USER 65532:65532
RUN node device-sim/src/main.ts --help > /dev/null
CMD ["device-sim/src/main.ts"]

# The server needs nothing but what the platform does; what the portal needs is in its files already.
FROM manifests AS web-packages
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --workspace @wmoc/platform && trim-packages

FROM manifests AS portal
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --workspace @wmoc/web
COPY protocol/src protocol/src
COPY platform/src platform/src
COPY api/src api/src
COPY tsconfig.base.json ./
COPY web web
RUN cd web && node ../node_modules/vite/bin/vite.js build --logLevel warn && node server/compress.ts dist

FROM runtime AS web
LABEL org.opencontainers.image.title="wmoc-web" org.opencontainers.image.description="Portal of WMOC and the server that hands it out"
ENV HOST=0.0.0.0 ADMIN_HOST=0.0.0.0
EXPOSE 8080 9084
COPY --from=web-packages /app ./
COPY platform/src platform/src
COPY web/headers.json web/
COPY web/server web/server
COPY --from=portal /app/web/dist web/dist
USER 65532:65532
RUN node web/server/main.ts --help > /dev/null
CMD ["web/server/main.ts"]

FROM manifests AS operator-packages
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --workspace @wmoc/operator && trim-packages

FROM runtime AS operator
LABEL org.opencontainers.image.title="wmoc-operator" org.opencontainers.image.description="Kubernetes operator of WMOC"
ENV ADMIN_HOST=0.0.0.0
EXPOSE 9083
COPY --from=operator-packages /app ./
COPY platform/src platform/src
COPY observability observability
COPY operator/src operator/src
USER 65532:65532
# What finds the cluster is not imported for `--help`.
RUN node operator/src/main.ts --help > /dev/null && node --input-type=module --eval "await import('@kubernetes/client-node')"
CMD ["operator/src/main.ts"]
