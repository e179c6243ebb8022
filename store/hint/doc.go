// Package hint delivers the hints that a node holds for others (hinted handoff; paper,
// section 4.6).
//
// A [Handoff] looks for hints when it starts, at intervals, and when it is told that an owner
// came up. It sends each to its owner, which merges it, and only after the owner has
// acknowledged does it drop the hint, and only if the hint is still what was sent: something may
// have been merged into it meanwhile. Delivery may happen twice, which does no harm to a merge.
// Hints never expire.
//
// An owner that has come back is not flooded: one page of hints is under way for each owner,
// with few requests at a time, and the first that it does not answer ends the round. A Handoff is safe
// for concurrent use.
package hint
