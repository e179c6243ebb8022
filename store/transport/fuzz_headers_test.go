package transport

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/store"
)

// FuzzStatus: whatever a status claims, an error proves that a write was not made only if the other side has sworn it in our name.
func FuzzStatus(f *testing.F) {
	for _, err := range []error{encode(store.ErrOverloaded, "r1"), encode(&store.QuorumError{Op: "put", Need: 2, Sent: 3}, ""), encode(&store.SessionError{}, "")} {
		b, merr := proto.Marshal(status.Convert(err).Proto())
		if merr != nil {
			f.Fatal(merr)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var raw spb.Status
		if proto.Unmarshal(b, &raw) != nil || raw.GetCode() == int32(codes.OK) {
			return
		}
		st := status.FromProto(&raw)
		err := Decode(st.Err())
		if err == nil {
			t.Fatalf("%v became no error", st)
		}
		sworn := false
		for _, d := range st.Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
				sworn = info.GetMetadata()[metaDefinite] == "true"
				break
			}
		}
		if store.Definite(err) && !sworn {
			t.Errorf("%v proves that nothing was written, and nobody swore it", st)
		}
		_, _ = Request(err), Unanswered(err)
	})
}

// FuzzHeaders: what comes with a call is what we write ourselves, or as if it had not come.
func FuzzHeaders(f *testing.F) {
	f.Add("1-2", "n1-7", "Bearer secret")
	f.Add("2-1", " ", "Basic x")
	f.Fuzz(func(t *testing.T, protocol, request, token string) {
		if p, err := parseProtocol(protocol); err == nil && (p.String() != protocol || p.Min < 1 || p.Max < p.Min) {
			t.Errorf("%q became %v", protocol, p)
		}
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(headerRequest, request, headerToken, token))
		if id := requestFrom(ctx); id != "" && (id != request || len(id) > store.RequestIDSizeMax) {
			t.Errorf("the request %q became %q", request, id)
		}
		if got := tokenFrom(ctx); got != "" && bearer+got != token {
			t.Errorf("the token of %q became %q", token, got)
		}
	})
}
