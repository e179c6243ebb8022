package transport

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"cartwheel/store"
)

// Names of what is sent along with calls.
const (
	headerProtocol = "cartwheel-protocol" // of calls between nodes: versions that the caller speaks, as "1-2"
	headerRequest  = "cartwheel-request"  // the id of the request that a call is part of
)

// A Protocol is the versions of the protocol between nodes that one speaks, Min to Max. A release speaks its own version and the one
// before it, so that the nodes of a cluster can be upgraded one after the other.
type Protocol struct{ Min, Max int }

// Current is what this release speaks.
var Current = Protocol{Min: 1, Max: 1}

// first is what nodes speak that say nothing.
var first = Protocol{Min: 1, Max: 1}

// Overlaps reports whether there is a version that both speak.
func (p Protocol) Overlaps(q Protocol) bool { return p.Min <= q.Max && q.Min <= p.Max }

// String returns the versions as "1-2".
func (p Protocol) String() string { return strconv.Itoa(p.Min) + "-" + strconv.Itoa(p.Max) }

// parseProtocol reads what String has written.
func parseProtocol(text string) (p Protocol, err error) {
	if _, err = fmt.Sscanf(text, "%d-%d", &p.Min, &p.Max); err != nil || p.Min < 1 || p.Max < p.Min || p.String() != text {
		return Protocol{}, fmt.Errorf("versions %q of the protocol between nodes, want such as 1-2: %w", text, store.ErrProtocol)
	}
	return p, nil
}

// meet returns nil if there is a version in which this node can answer a caller.
func (p Protocol) meet(ctx context.Context, self store.NodeID) error {
	theirs := first
	if said := metadata.ValueFromIncomingContext(ctx, headerProtocol); len(said) == 1 && said[0] != theirs.String() {
		var err error
		if theirs, err = parseProtocol(said[0]); err != nil {
			return err
		}
	}
	if p.Overlaps(theirs) {
		return nil
	}
	older := "the caller"
	if p.Max < theirs.Min {
		older = string(self)
	}
	return fmt.Errorf("%s speaks versions %v of the protocol between nodes, the caller %v: upgrade %s, one release at a time: %w", self, p, theirs, older, store.ErrProtocol)
}

// Speaking returns a connection whose calls say which versions the caller speaks, and which request they are part of; nil of nil.
func Speaking(conn grpc.ClientConnInterface, p Protocol) grpc.ClientConnInterface {
	if conn == nil {
		return nil
	}
	return speaking{conn, p}
}

type speaking struct {
	grpc.ClientConnInterface
	protocol Protocol
}

func (s speaking) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	headers := []string{headerProtocol, s.protocol.String(), headerRequest, store.RequestOf(ctx)}
	if headers[3] == "" {
		headers = headers[:2]
	}
	return s.ClientConnInterface.Invoke(metadata.AppendToOutgoingContext(ctx, headers...), method, args, reply, opts...)
}

// Requesting returns a context whose calls carry the id of the request that it belongs to.
func Requesting(ctx context.Context) context.Context {
	if id := store.RequestOf(ctx); id != "" {
		return metadata.AppendToOutgoingContext(ctx, headerRequest, id)
	}
	return ctx
}

// requestFrom returns the id that came with a call; empty: none that could be one. It ends up in logs, so it is printable.
func requestFrom(ctx context.Context) string {
	ids := metadata.ValueFromIncomingContext(ctx, headerRequest)
	if len(ids) != 1 || len(ids[0]) > store.RequestIDSizeMax {
		return ""
	}
	for _, c := range []byte(ids[0]) {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return ids[0]
}
