# The image of webhook, controller and commands. `make image` lays the wheels out that it needs; see docs/image.md.
# Any base with Python 3.11 and an OpenSSL of its own will do. It needs neither pip nor a shell.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
# pip is run from its own wheel: installed nowhere, it is in no image.
COPY build/wheels /build/wheels
COPY requirements.lock /build/
RUN ["python3", "/build/wheels/pip.whl/pip", "install", "--no-index", "--find-links=/build/wheels", "--only-binary=:all:", "--no-cache-dir", "--no-compile", "--disable-pip-version-check", "--root-user-action=ignore", "--no-warn-script-location", "--require-hashes", "--requirement=requirements.lock", "--target=/opt/istio-netpol"]
RUN ["python3", "/build/wheels/pip.whl/pip", "install", "--no-index", "--find-links=/build/wheels", "--only-binary=:all:", "--no-cache-dir", "--no-compile", "--disable-pip-version-check", "--root-user-action=ignore", "--no-deps", "--target=/opt/istio-netpol", "istio-netpol"]
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/opt/istio-netpol"]

FROM ${BASE}
LABEL org.opencontainers.image.title="istio-netpol" \
      org.opencontainers.image.description="Keeps Istio and Kyma clusters working under deny-all NetworkPolicies." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/istio-netpol /opt/istio-netpol
# The root may be read-only: nothing is compiled or written at run time.
ENV PYTHONPATH=/opt/istio-netpol PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
# The program is process 1, gets SIGTERM itself and starts no process that it does not wait for.
ENTRYPOINT ["python3", "-m", "istio_netpol"]
CMD ["--help"]
