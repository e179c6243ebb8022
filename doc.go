// Package cartwheel is the root of a Dynamo reference store and of the harness that
// tests it. It holds no code: see README.md, store and harness. Its test keeps the
// house rules of docs/STYLE.md.
package cartwheel
