// Package coordinator serves get, put and delete: from a key to its preference list,
// to replicas, to a quorum, to repair and hints.
//
// A put is made durable here before anyone else hears of it, and then handed as a
// whole state to the key's other owners; whoever cannot be reached is stood in for by
// the next healthy node of the preference list, which keeps a hint (paper, sections 4.5
// and 4.6). A get asks the same nodes, joins what they show and writes back to those
// that are behind (section 5). Replicas are only ever joined, never replaced.
//
// What is decided is in decide.go and roster.go, which are functions of values. The
// rest moves messages: a request runs in a goroutine of its own, which replies once the
// outcome is known and goes on until every owner has the state or a hint waits for it.
//
// A Coordinator is safe for concurrent use. It has a limit on requests in flight, their
// work after the reply included, and Close returns after the last of it.
package coordinator
