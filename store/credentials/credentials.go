package credentials

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc/credentials"

	"cartwheel/store"
)

// Files name what one side of a connection needs, in PEM.
type Files struct {
	Cert string // own certificate, and those between it and the authority's; a client may have none
	Key  string // its private key
	CA   string // authorities that certificates of the other side are checked against; required
}

// check reports what is missing.
func (f Files) check() error {
	var errs []error
	if f.CA == "" {
		errs = append(errs, fmt.Errorf("certificates of authorities are missing: %w", store.ErrInvalid))
	}
	if (f.Cert == "") != (f.Key == "") {
		errs = append(errs, fmt.Errorf("a certificate and its key are given together or not at all: %w", store.ErrInvalid))
	}
	return errors.Join(errs...)
}

// material is what files held at one time.
type material struct {
	own         []tls.Certificate
	authorities *x509.CertPool
}

func (f Files) read() (m material, err error) {
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return m, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
		}
		m.own = []tls.Certificate{pair}
	}
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return m, fmt.Errorf("authorities: %w", err)
	}
	m.authorities = x509.NewCertPool()
	if !m.authorities.AppendCertsFromPEM(text) {
		return m, fmt.Errorf("authorities: %s holds no certificate: %w", f.CA, store.ErrInvalid)
	}
	return m, nil
}

// A Source makes credentials of files. Safe for concurrent use.
type Source struct {
	files Files
	log   *slog.Logger

	mu   sync.Mutex // guards what follows, never a read of a file
	last material   // of the last read that succeeded
}

// Open reads the files for the first time. It fails if they cannot be used.
func Open(f Files, log *slog.Logger) (*Source, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	m, err := f.read()
	if err != nil {
		return nil, err
	}
	return &Source{files: f, log: log, last: m}, nil
}

// now returns what the files hold. While they cannot be used, as between the writing of a certificate
// and that of its key, it is what they held before.
func (s *Source) now() material {
	m, err := s.files.read()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.log.Warn("new certificates cannot be used, old ones are kept", "err", err)
		return s.last
	}
	s.last = m
	return m
}

// Server returns the credentials of a server that has a certificate. Its clients must show one that an
// authority has signed; if it is optional for them, those that show none are let in, and the
// services decide (see transport.Guard).
func (s *Source) Server(optional bool) credentials.TransportCredentials {
	auth := tls.RequireAndVerifyClientCert
	if optional {
		auth = tls.VerifyClientCertIfGiven
	}
	return &fresh{log: s.log, config: func() *tls.Config {
		m := s.now()
		return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: m.own, ClientCAs: m.authorities, ClientAuth: auth}
	}}
}

// Client returns the credentials of a client. The server's certificate must be for the host
// that the client dialed.
func (s *Source) Client() credentials.TransportCredentials {
	return &fresh{log: s.log, config: func() *tls.Config {
		m := s.now()
		return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: m.own, RootCAs: m.authorities}
	}}
}

// fresh are credentials with a configuration made for each handshake. So no session is resumed: a
// certificate that was replaced is worth nothing from then on.
type fresh struct {
	config func() *tls.Config
	log    *slog.Logger
}

// ClientHandshake is as in the interface.
func (f *fresh) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := credentials.NewTLS(f.config()).ClientHandshake(ctx, authority, conn)
	return secure, info, f.note(conn, err)
}

// ServerHandshake is as in the interface.
func (f *fresh) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := credentials.NewTLS(f.config()).ServerHandshake(conn)
	return secure, info, f.note(conn, err)
}

// note logs why a handshake failed: the other side may learn no more than that it did.
func (f *fresh) note(conn net.Conn, err error) error {
	if err != nil && !errors.Is(err, io.EOF) { // whoever only knocks at the port is no event
		f.log.Info("handshake failed", "remote", conn.RemoteAddr().String(), "err", err)
	}
	return err
}

// Info is as in the interface.
func (f *fresh) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone is as in the interface. There is no state to share.
func (f *fresh) Clone() credentials.TransportCredentials { return &fresh{config: f.config, log: f.log} }

// OverrideServerName is refused: names are what protects the client.
func (f *fresh) OverrideServerName(string) error {
	return fmt.Errorf("the server's name cannot be replaced: %w", store.ErrInvalid)
}
