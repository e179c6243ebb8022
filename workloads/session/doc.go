// Package session asks whether the store keeps what it promises to a session.
//
// Single replicas, sloppy quorums and no repair: nothing of a quorum makes a read see what
// its own client has written or read before. What does is the floor: each client keeps the
// context of its last answer of a key, its reads carry it, and the store shows at least that
// or fails (Terry et al., Session Guarantees for Weakly Consistent Replicated Data, 1994;
// section 5 of the Dynamo paper makes it likelier only). Puts carry the same context, so
// writes follow what their session has written and read.
//
// Weak is the same without floors. It must be found to break these guarantees: a checker
// that has never failed proves nothing. Mended asks something else of the same crowd:
// whether reads repair the replicas that they find behind.
package session
