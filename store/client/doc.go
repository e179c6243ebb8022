// Package client is the library for applications of the store.
//
// A [Client] reaches the cluster through any of its nodes, which route requests
// themselves, or, if it is [ClientDriven], asks the nodes of a key's preference list. One call
// is one attempt. Another node is tried only when it is proven that the first has not served the
// request, because a write sent twice may be made twice; a caller that
// wants to repeat a write passes the context of its last read and lets the siblings show
// what became of it.
//
// [Client.Update] is for those who want to change a value and lose nothing: it reads,
// lets the application merge, writes, and repeats a put of unknown outcome under the same name,
// so that it is made once. A [Session] keeps what it has seen of each key and reads no less.
// Who has never heard of siblings takes a [Client.Cart], [Client.Set], [Client.Counter] or
// [Client.Register], whose values resolve themselves (package crdt), or [Client.GetOne].
//
// The error of a write answers the one question that matters ([Definite], [Outcome]):
// is it proven that the write was not made? Without proof it may yet become visible.
//
// Values come as siblings with one context that supersedes exactly those (paper, sections 4.4
// and 5). How siblings of other values are resolved is the application's to say.
//
// Clients are safe for concurrent use.
package client
