// Package pcap joins the files of a ring of captured packets into one.
//
// It knows of libpcap's classic format no more than where a record begins and when it was captured. All is in
// memory. It is pure.
package pcap
