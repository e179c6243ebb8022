// Package credentials secures connections by TLS, with certificates from files that may be
// replaced while the process runs. Files are read at each handshake: a connection that is open
// keeps the certificates that it began with, every new one has those that the files hold by then.
package credentials
