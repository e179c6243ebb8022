// Package history keeps the journal of a run: it records, reads back, pairs and
// validates [harness.Op] lines.
//
// On disk a history is JSON lines. A [Writer] numbers and stamps each line and
// hands it to the file before it returns, so that what was invoked is known even
// if the harness dies in the middle of an operation; a [Reader] forgives such an end, and
// nothing else. Other tools may write the format, too: docs/HISTORY.md describes it.
// Nothing is judged before [Validate] has found the history well formed: a checker
// that is fed two operations at once by one process would call a correct store
// wrong, or worse, a wrong one correct.
package history
