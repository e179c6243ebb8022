# What delays, reorders, duplicates and corrupts a pod's packets: one static binary.
# It joins the network namespace of the pod's host container, with the right to change it.
FROM scratch
COPY shaper /shaper
ENTRYPOINT ["/shaper"]
CMD ["serve"]
