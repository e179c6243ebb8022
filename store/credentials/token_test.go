package credentials_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cartwheel/store"
	"cartwheel/store/credentials"
)

func TestATokenFollowsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old, next := strings.Repeat("a", 22), strings.Repeat("b", 40)
	write(old + "\n")
	token, err := credentials.OpenToken(file)
	if err != nil {
		t.Fatal(err)
	}
	admits := func(text string, want bool) {
		t.Helper()
		if got := token.Admits(text); got != want {
			t.Errorf("%q is admitted: %v, want %v", text, got, want)
		}
	}
	admits(old, true)
	for _, wrong := range []string{"", old + "\n", old[1:], old + "a", next} {
		admits(wrong, false)
	}
	write(next)
	admits(next, true)
	admits(old, false)
	write("short") // half written: the one before counts
	admits(next, true)
	admits("short", false)
	admits("", false)
}

func TestWhatIsNoSecretIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if _, err := credentials.OpenToken(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	for _, text := range []string{"", " \n ", strings.Repeat("a", 21)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := credentials.OpenToken(file); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: got %v, want it refused", text, err)
		}
	}
}
