// Package report tells the story of a finished run, as one web page and as text for a
// terminal or a log.
//
// [Write] makes index.html, a single file that asks nothing of the network. It opens
// with the verdict in sentences, then shows each finding with its proof in words,
// in time (lanes) and in cause (the graph of the key's writes). Of a simulated run it shows
// the messages behind the first anomaly. Then come plots with
// fault bands, then the tables behind them. [Text] tells the same story in plain
// lines. [Handler] shows a folder of results with an index of its runs.
//
// The package judges nothing: verdicts, stories and evidence are those of the
// [harness.Result]; from the history it only counts and draws. Functions are safe for
// concurrent use and change neither the result nor the history.
package report
