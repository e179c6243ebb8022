// Package child has a search for linearizability made in a process of its own, where the
// operating system holds it to its budget of time and memory.
//
// The search is exponential at its worst and Porcupine has no limit on memory. The
// checker estimates what a search keeps; should the estimate be wrong, only the child
// dies. One that was killed, or died by itself, leaves a doubt with the reason,
// never a verdict. A child whose parent is gone ends, too: it reads the end of its input.
//
// [Process.Search] is the parent's side and safe for concurrent use; [Serve] is the
// child's, once a process.
package child
