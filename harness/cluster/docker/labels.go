package docker

import (
	"os"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/filters"
)

// Labels of everything that a run makes.
const (
	labelOurs    = "cartwheel"         // "true"
	labelRun     = "cartwheel.run"     // the run's name
	labelNode    = "cartwheel.node"    // containers and volumes: whose
	labelRole    = "cartwheel.role"    // containers: "host" or "store"
	labelPid     = "cartwheel.pid"     // the process that made it, for people
	labelMachine = "cartwheel.machine" // where that process runs: its lease can be judged only there
	labelLease   = "cartwheel.lease"   // path of its locked file
	labelSince   = "cartwheel.since"   // when it began, Unix seconds
	labelImage   = "cartwheel.image"   // images, which outlive runs: "store" or "host"
)

// An owner is the process that a run's objects belong to, as its labels tell.
type owner struct {
	machine string
	lease   string
	since   time.Time
}

func (o owner) labels(run string) map[string]string {
	return map[string]string{
		labelOurs:    "true",
		labelRun:     run,
		labelPid:     strconv.Itoa(os.Getpid()),
		labelMachine: o.machine,
		labelLease:   o.lease,
		labelSince:   strconv.FormatInt(o.since.Unix(), 10),
	}
}

func ownerOf(labels map[string]string) owner {
	seconds, err := strconv.ParseInt(labels[labelSince], 10, 64)
	if err != nil {
		seconds = 0 // a label nobody could have written: treat it as old
	}
	return owner{machine: labels[labelMachine], lease: labels[labelLease], since: time.Unix(seconds, 0)}
}

// abandonedAfter is the age at which a run counts as left behind even if its owner
// cannot be asked. No run lasts that long.
const abandonedAfter = 6 * time.Hour

// stale reports whether the owner is gone. A live owner on this machine is never stale,
// however old its run. An owner that cannot be judged from here is by its age.
func (o owner) stale(machine string, now time.Time, gone func(path string) (bool, error)) bool {
	if o.machine == machine && o.lease != "" {
		if dead, err := gone(o.lease); err == nil {
			return dead
		}
	}
	return now.Sub(o.since) > abandonedAfter
}

// machine names this machine, or the container that the harness runs in.
func machine() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// ours selects everything that any run made, or one run if it is named. What has no run
// was started by hand: it inherits the other labels from our images.
func ours(run string) filters.Args {
	of := labelRun
	if run != "" {
		of += "=" + run
	}
	return filters.NewArgs(filters.Arg("label", labelOurs+"=true"), filters.Arg("label", of))
}
