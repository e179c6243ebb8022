package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// dialled returns both ends of a connection from one process to another.
func dialled(t *testing.T, from, to *Proc, l net.Listener) (near, far net.Conn) {
	t.Helper()
	near, err := from.Connect(t.Context(), to.id)
	if err == nil {
		far, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// inPair runs a test with two processes, n1 and n2, of which the second listens.
func inPair(t *testing.T, o Options, f func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener)) {
	t.Helper()
	inBubble(t, o, func(t *testing.T, n *Net) {
		n1, n2 := n.Start("n1"), n.Start("n2")
		l, err := n2.ListenSockets()
		if err != nil {
			t.Fatal(err)
		}
		f(t, n, n1, n2, l)
		n1.Close()
		n2.Close()
		time.Sleep(20 * time.Second) // the last repetitions
		synctest.Wait()
	})
}

func mustWrite(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("wrote %d of %q: %v", n, text, err)
	}
}

func wantRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func wantError(t *testing.T, c net.Conn, want error) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, want) {
		t.Fatalf("read %d bytes, %v; want %v", n, err, want)
	}
}

// What is written arrives whole and in order, or the connection breaks: whatever is
// lost, delayed, overtaken, cut off for a while or kept from a frozen process.
func TestASocketCarriesBytesInOrder(t *testing.T) {
	for seed := range uint64(30) {
		inPair(t, Options{Seed: seed, RetransmitsMax: 8}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
			near, far := dialled(t, n1, n2, l)
			n.Shape("f1", harness.Shape{Jitter: 50 * time.Millisecond, Loss: 0.05, Duplicate: 0.5}, links("n1", "n2"))
			time.AfterFunc(300*time.Millisecond, func() { n.Cut("f", links("n1", "n2")) })
			time.AfterFunc(700*time.Millisecond, func() { n.Mend("f") })
			time.AfterFunc(900*time.Millisecond, func() { n.Freeze("n2") })
			time.AfterFunc(1400*time.Millisecond, func() { n.Thaw("n2") })
			var sent []byte
			for i := range uint64(200) {
				chunk := bytes.Repeat([]byte{byte(i)}, int(fate.Hash(seed, i)%50))
				sent = append(sent, chunk...)
				mustWrite(t, near, string(chunk))
				if i%3 > 0 { // some are written at one instant
					time.Sleep(fate.Between(0, 20*time.Millisecond, fate.Hash(seed, i, 1)))
				}
			}
			if err := near.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(far)
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("seed %d: %d bytes of %d arrived, %v", seed, len(got), len(sent), err)
			}
			if n.Tally().Packets < 100 {
				t.Errorf("only %d packets", n.Tally().Packets)
			}
		})
	}
}

func TestACutBreaksOnlyTheEndThatSends(t *testing.T) {
	inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
		near, far := dialled(t, n1, n2, l)
		n.Cut("f", links("n1", "n2", "n2", "n1"))
		begin := n.now()
		mustWrite(t, near, "lost")
		wantError(t, near, syscall.ETIMEDOUT)
		if took := n.now() - begin; took < time.Second || took > 2*time.Second {
			t.Errorf("given up after %v, want one to two seconds", took)
		}
		if _, err := near.Write([]byte("more")); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("write to a broken connection: got %v", err)
		}
		if err := far.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		wantError(t, far, os.ErrDeadlineExceeded) // nobody told it
		n.Mend("f")
		if err := far.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, far, "anyone?")
		wantError(t, far, syscall.ECONNRESET)
	})
}

func TestADeadProcessResetsItsConnections(t *testing.T) {
	inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
		near, far := dialled(t, n1, n2, l)
		mustWrite(t, far, "last words")
		time.Sleep(10 * time.Millisecond)
		n2.Kill()
		wantRead(t, near, "last words") // they were here before the reset
		wantError(t, near, syscall.ECONNRESET)
		if _, err := far.Write([]byte("x")); err == nil {
			t.Error("the dead write")
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the dead accept: %v", err)
		}
		if _, err := n2.Connect(t.Context(), "n1"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("the dead dial: %v", err)
		}
		if _, err := n1.Connect(t.Context(), "n2"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect to the dead: got %v", err)
		}
	})
}

func TestADeathBehindACutShowsWhenTheLinkIsUsedAgain(t *testing.T) {
	inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
		near, _ := dialled(t, n1, n2, l)
		n.Cut("f", links("n2", "n1"))
		n2.Kill()
		time.Sleep(time.Minute)
		n.Mend("f")
		if err := near.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		wantError(t, near, os.ErrDeadlineExceeded)
		mustWrite(t, near, "anyone?")
		if err := near.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantError(t, near, syscall.ECONNRESET)
	})
}

func TestNobodyAnswersThroughACut(t *testing.T) {
	for name, cut := range map[string][2]string{"there": {"n1", "n2"}, "back": {"n2", "n1"}} {
		t.Run(name, func(t *testing.T) {
			inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
				n.Cut("f", links(n1.id, n2.id)[:1])
				if cut[0] == "n2" {
					n.Mend("f")
					n.Cut("f", links(n2.id, n1.id))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				begin := n.now()
				if _, err := n1.Connect(ctx, "n2"); !errors.Is(err, context.DeadlineExceeded) || n.now()-begin != 500*time.Millisecond {
					t.Errorf("got %v after %v", err, n.now()-begin)
				}
				n.Mend("f")
				near, err := n1.Connect(t.Context(), "n2")
				if err != nil {
					t.Fatalf("after the heal: %v", err)
				}
				mustWrite(t, near, "hello")
				// A request that came through cost the other end a connection that nobody wants.
				for {
					far, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					b := make([]byte, 5)
					if _, err = io.ReadFull(far, b); err == nil && string(b) == "hello" {
						return
					} else if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.ETIMEDOUT) {
						t.Fatalf("read %q, %v", b, err)
					}
				}
			})
		})
	}
}

func TestTheKernelOfAFrozenProcessAnswersAndKeeps(t *testing.T) {
	inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
		n.Freeze("n2")
		begin := n.now()
		near, far := dialled(t, n1, n2, l)
		if n.now()-begin > 10*time.Millisecond {
			t.Errorf("the connection stood after %v", n.now()-begin)
		}
		mustWrite(t, near, "ping")
		mustWrite(t, far, "pong") // its goroutines go on; what they write does not leave
		time.AfterFunc(time.Minute, func() { n.Thaw("n2") })
		wantRead(t, far, "ping")
		wantRead(t, near, "pong")
		if took := n.now() - begin; took < time.Minute || took > time.Minute+20*time.Millisecond {
			t.Errorf("they got through after %v, want a minute", took)
		}
	})
}

func TestWhatWasWrittenBeforeACloseArrives(t *testing.T) {
	inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
		near, far := dialled(t, n1, n2, l)
		mustWrite(t, near, "bye")
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		wantError(t, near, net.ErrClosed)
		if near.Close() == nil {
			t.Error("closed twice without an error")
		}
		wantRead(t, far, "bye")
		wantError(t, far, io.EOF)
		mustWrite(t, far, "too late")
		wantError(t, far, io.EOF) // the reset is on its way
		time.Sleep(20 * time.Millisecond)
		wantError(t, far, syscall.ECONNRESET)
	})
}

func TestAReadEndsAtItsDeadlineAndAtTheClose(t *testing.T) {
	inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
		near, far := dialled(t, n1, n2, l)
		time.AfterFunc(time.Second, func() { _ = near.SetDeadline(time.Now().Add(time.Second)) })
		begin := n.now()
		wantError(t, near, os.ErrDeadlineExceeded)
		if n.now()-begin != 2*time.Second {
			t.Errorf("the read ended after %v, want 2s", n.now()-begin)
		}
		time.AfterFunc(time.Second, func() { _ = far.Close() })
		wantError(t, far, net.ErrClosed)
	})
}

func TestALimitlessWriterIsStopped(t *testing.T) {
	inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
		near, _ := dialled(t, n1, n2, l)
		chunk := make([]byte, 8<<20)
		for range 8 {
			mustWrite(t, near, string(chunk))
		}
		if _, err := near.Write(chunk); !errors.Is(err, syscall.ENOBUFS) {
			t.Errorf("got %v after 72 MiB that nobody read", err)
		}
	})
}

func TestAClosedListenerRefuses(t *testing.T) {
	inPair(t, Options{}, func(t *testing.T, n *Net, n1, n2 *Proc, l net.Listener) {
		waiting, err := n1.Connect(t.Context(), "n2")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		wantError(t, waiting, syscall.ECONNRESET)
		if _, err := n1.Connect(t.Context(), "n2"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: got %v", err)
		}
	})
}
