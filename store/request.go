package store

import "context"

// RequestIDSizeMax is the longest id of a request, in bytes; a longer one is not taken over.
const RequestIDSizeMax = 64

// requestKey is that of a request's id in a context.
type requestKey struct{}

// WithRequest returns a context whose work is done for a client's request with this id, which logs and errors name on every node
// that takes part; of the empty one, ctx itself.
func WithRequest(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestOf returns the id of the request that a context's work is done for; empty: it is done for none.
func RequestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
