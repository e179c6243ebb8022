# The host of a pod: owns its network, carries the tools that cut it, the one that fails system
# calls and the one that records packets. Without this base image at hand, base.sh makes an equal
# one from Debian's packages.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash iproute2 iptables strace tcpdump \
 && rm -rf /var/lib/apt/lists/*
CMD ["sleep", "infinity"]
