// Package cart fills shopping carts and asks whether anything falls out.
//
// It is the example that the Dynamo paper opens with: "add to cart" can never be
// refused (section 2.3), so writes go to sloppy quorums, versions may branch, and the
// client merges them (section 4.4). Each client reads a cart, merges the siblings it
// is shown by union, adds or removes one element and writes the result with the read's
// context. Now and then it checks out, which deletes what it saw; the cart is filled again,
// so tombstones and values meet under faults. When the read failed it adds all the same, blindly, and leaves the merge to
// the next reader.
//
// Every value carries an id of its own and every element is added once, so the history
// alone says what each version superseded and where each element must be in the end. A
// removed element may come back when a concurrent version still holds it; that is the
// price the paper accepts, counted and not judged. A lost add never is.
package cart
