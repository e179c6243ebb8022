// Package checker judges histories: one file a checker, each a [harness.Checker].
//
// Every put writes a value of its own and carries the context of an earlier answer, so
// the history itself says what each version supersedes, and no order has to be guessed:
// past(w) is all that the answer behind w's context showed, with the past of those, and
// an answer S admits to D(S) = S with all of its past. Loss, resurrection, staleness
// and superseded siblings are then comparisons of small vectors, made once for each key
// and shared by checkers that are used [Together]. A context that no earlier answer
// gave leaves a past open: what only that past could decide is skipped and counted.
//
// What a store may be held to depends on how it is asked. [Claims] say it, one table
// decides by them which anomalies make a finding invalid and which are measured only,
// and docs/GUARANTEES.md is printed from it. A history too long to be held is judged as a
// [Stream], which keeps a few hundred bytes an operation.
//
// An acknowledged write must survive; one of unknown outcome may take effect at any
// later time or never. Checkers take histories that history.Validate accepts. They keep
// no state, draw random numbers from a fixed seed only, and read no clock but the budget
// of their context; one that was cut short is unknown, and so is one that had nothing to
// judge.
//
// Versions and contexts are those of the Dynamo paper (DeCandia et al., SOSP 2007),
// sections 4.3 to 4.5; guarantees of sessions Terry and others (PDIS 1994), staleness
// Bailis and others (VLDB 2012), visibility Burckhardt (2014); registers follow Herlihy
// and Wing (TOPLAS 1990), their zones Gibbons and Korach (SIAM J. Comput. 1997).
package checker
