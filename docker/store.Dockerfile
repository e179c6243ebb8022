# The store: one static binary and a directory for its data, nothing else.
#
# The build context holds the binary "cartwheeld" and an empty directory "data".
# A new volume at /data takes over that directory's owner, so the store can write
# there without being root.
FROM scratch
COPY --chown=65532:65532 data /data
COPY cartwheeld /cartwheeld
USER 65532:65532
VOLUME /data
ENTRYPOINT ["/cartwheeld"]
