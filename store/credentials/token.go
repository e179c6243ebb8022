package credentials

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"os"
	"sync"

	"cartwheel/store"
)

// TokenSizeBytesMin is the length of the shortest secret that is not refused: 16 random bytes take 22 characters of base64.
const TokenSizeBytesMin = 22

// A Token is a secret that operators share with the nodes, in a file that may be replaced at any time. White space around it is no
// part of it. Safe for concurrent use.
type Token struct {
	file string

	mu   sync.Mutex // guards last, never a read of the file
	last string     // of the last read that succeeded
}

// OpenToken reads the file for the first time. It fails if it holds no secret, or one that is shorter than TokenSizeBytesMin.
func OpenToken(file string) (*Token, error) {
	t := &Token{file: file}
	var err error
	if t.last, err = t.read(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Token) read() (string, error) {
	text, err := os.ReadFile(t.file)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	if text = bytes.TrimSpace(text); len(text) < TokenSizeBytesMin {
		return "", fmt.Errorf("token: %s holds %d characters, want %d random ones or more: %w", t.file, len(text), TokenSizeBytesMin, store.ErrInvalid)
	}
	return string(text), nil
}

// Text returns the secret as the file has it now, or had it when it last could be used.
func (t *Token) Text() string {
	text, err := t.read()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.last = text
	}
	return t.last
}

// Admits reports whether the caller knows the secret. How long it takes tells nothing of the secret, its length included.
func (t *Token) Admits(text string) bool {
	got, want := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(t.Text()))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
