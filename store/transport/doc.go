// Package transport carries the store's words over gRPC: the services of a node, the
// client that reaches its peers, and the connection settings that both sides need.
//
// status.go alone maps errors to codes and back. A code never says whether a write took
// effect, since a broken connection has codes of its own; so the server swears to it in a
// detail of the error, and what carries no such oath is taken to be indefinite. errors.Is
// and errors.As hold across the wire for all that package store declares.
//
// Wire types stop here: other packages see the store's own. A [Server] counts the
// handlers in flight and its Close waits for them; all types are safe for concurrent use.
package transport
