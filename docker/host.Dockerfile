# The host of a pod: owns its network, carries the tools that cut it, and the one that fails
# system calls. Without this base image at hand, base.sh makes an equal one from Debian's packages.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash iproute2 iptables strace \
 && rm -rf /var/lib/apt/lists/*
CMD ["sleep", "infinity"]
