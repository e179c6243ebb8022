// Package schedule decides when faults strike and whom.
//
// [Draw] lays faults out in time from a seed. A schedule is plain data, a list of
// [harness.Fault] with everything random already decided: [Encode] writes it for
// people, who may edit it, and [Decode] reads it back and says what is wrong with it,
// by the fault's id. Times count from the start of the load.
package schedule
