package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"

	"cartwheel/store/credentials"
	"cartwheel/store/transport"
)

// tlsSettings are what an operator can choose of TLS. Without files there is none.
type tlsSettings struct {
	files    credentials.Files
	optional bool
	guard    transport.Guard
}

func (s *tlsSettings) register(f *pflag.FlagSet) {
	f.StringVar(&s.files.Cert, "tls-cert", "", "file of this node's certificate, for the host of its address and for both server and client use.\n"+
		"With it, clients and peers are served by TLS only. The files of --tls-cert, --tls-key and --tls-ca may be replaced at any time")
	f.StringVar(&s.files.Key, "tls-key", "", "file of its private key")
	f.StringVar(&s.files.CA, "tls-ca", "", "file of the authorities that sign the certificates of nodes and clients")
	f.BoolVar(&s.optional, "tls-client-cert-optional", false, "serve clients that show no certificate; peers and operators always show one")
	f.StringSliceVar(&s.guard.Peers, "tls-peer-names", nil, "names of which a certificate must have one to act as a node; empty: every certificate may")
	f.StringSliceVar(&s.guard.Admins, "tls-admin-names", nil, "names of which a certificate must have one to act as an operator; empty: every certificate may")
}

func (s *tlsSettings) enabled() bool { return s.files != credentials.Files{} }

func (s *tlsSettings) check() (errs []error) {
	switch {
	case s.enabled() && (s.files.Cert == "" || s.files.Key == "" || s.files.CA == ""):
		errs = append(errs, errors.New("--tls-cert, --tls-key and --tls-ca are given together or not at all"))
	case !s.enabled() && (s.optional || len(s.guard.Peers)+len(s.guard.Admins) > 0):
		errs = append(errs, errors.New("--tls-client-cert-optional, --tls-peer-names and --tls-admin-names need --tls-cert, --tls-key and --tls-ca"))
	}
	return errs
}

// A security is what keeps others out of a daemon, and lets it into others.
type security struct {
	server    []grpc.ServerOption
	intercept []grpc.UnaryServerInterceptor // around each call that is served
	dial      []grpc.DialOption             // to peers
}

// secure returns what makes connections of servers and to peers secure, and wants the operators' secret where there is one.
func (s *settings) secure(log *slog.Logger) (security, error) {
	secure, err := s.tls.open(log)
	if err != nil || s.adminToken == "" {
		return secure, err
	}
	token, err := credentials.OpenToken(s.adminToken)
	if err != nil {
		return security{}, fmt.Errorf("--admin-token-file: %w", err)
	}
	secure.intercept = append(secure.intercept, transport.ForBearers(token.Admits))
	return secure, nil
}

// open reads the files, if there are any.
func (s *tlsSettings) open(log *slog.Logger) (security, error) {
	if !s.enabled() {
		return security{}, nil
	}
	source, err := credentials.Open(s.files, log)
	if err != nil {
		return security{}, err
	}
	return security{
		server:    []grpc.ServerOption{grpc.Creds(source.Server(s.optional))},
		intercept: []grpc.UnaryServerInterceptor{s.guard.Interceptor()},
		dial:      []grpc.DialOption{grpc.WithTransportCredentials(source.Client())},
	}, nil
}
