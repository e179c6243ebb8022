// Package edn reads and writes the histories of Jepsen, so that Knossos and Elle can judge
// ours and we theirs.
//
// Known are the functions :read, :write, :cas, :add, :append and transactions of a single
// micro-operation, on one key or on independent keys ([key value] pairs). Each line is one
// operation as a map; a vector around all of them is accepted. What the values become is
// told in docs/HISTORY.md.
package edn
