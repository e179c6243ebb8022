package transport

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"cartwheel/store"
)

func TestReleasesSpeakWithTheirNeighbours(t *testing.T) {
	release := func(n int) Protocol { return Protocol{Min: n - 1, Max: n} }
	for _, test := range []struct {
		name         string
		ours, theirs Protocol
		upgrade      string // who is told to; empty: they understand each other
	}{
		{name: "the same release", ours: release(3), theirs: release(3)},
		{name: "the next", ours: release(3), theirs: release(4)},
		{name: "the one before", ours: release(3), theirs: release(2)},
		{name: "the one after the next", ours: release(3), theirs: release(5), upgrade: "upgrade n1"},
		{name: "the one before the last", ours: release(4), theirs: release(2), upgrade: "upgrade the caller"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(headerProtocol, test.theirs.String()))
			err := test.ours.meet(ctx, "n1")
			if test.upgrade == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			if !errors.Is(err, store.ErrProtocol) || !store.Definite(err) {
				t.Fatalf("got %v, want ErrProtocol, and definite", err)
			}
			for _, want := range []string{test.ours.String(), test.theirs.String(), test.upgrade} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if back := Decode(encode(err, "")); !errors.Is(back, store.ErrProtocol) || !unfit(encode(err, "")) {
				t.Errorf("over the wire it is %v", back)
			}
		})
	}
}

func TestWhoSaysNothingSpeaksTheFirstVersion(t *testing.T) {
	if err := Current.meet(t.Context(), "n1"); err != nil {
		t.Errorf("got %v", err)
	}
	if err := (Protocol{2, 3}).meet(t.Context(), "n1"); !errors.Is(err, store.ErrProtocol) {
		t.Errorf("got %v, want ErrProtocol", err)
	}
	for _, damaged := range []string{"", "1", "2-1", "0-1", "1-2-3", " 1-2", "one-two"} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(headerProtocol, damaged))
		if err := Current.meet(ctx, "n1"); !errors.Is(err, store.ErrProtocol) {
			t.Errorf("%q: got %v, want ErrProtocol", damaged, err)
		}
	}
}

func TestIdsOfRequestsAreTakenOverIfTheyCanBeLogged(t *testing.T) {
	for id, want := range map[string]string{
		"0123abcd": "0123abcd", "": "", "two words": "", "line\nbreak": "", strings.Repeat("x", store.RequestIDSizeMax+1): "",
	} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(headerRequest, id))
		if got := requestFrom(ctx); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
	out, _ := metadata.FromOutgoingContext(Requesting(store.WithRequest(context.Background(), "r7")))
	if got := requestFrom(metadata.NewIncomingContext(t.Context(), out)); got != "r7" {
		t.Errorf("sent r7, got %q", got)
	}
	if err := encode(store.ErrOverloaded, "r7"); Request(err) != "r7" || Request(store.ErrClosed) != "" {
		t.Errorf("an error names %q", Request(err))
	}
}
