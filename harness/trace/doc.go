// Package trace keeps what a simulated network carried: trace.jsonl.
//
// A [Line] is a message or something that happened to a node or a link. A run makes
// many times more lines than anybody reads; [Shorten] keeps those that tell about a key
// and a stretch of time, and says how many it left out. Times are those of the run's
// history, so that the two can be laid side by side, as in Lamport's diagrams ("Time,
// Clocks, and the Ordering of Events in a Distributed System", CACM 1978).
//
// A trace explains and judges nothing: no checker reads it. Functions are safe for
// concurrent use and change no line that they are given.
package trace
