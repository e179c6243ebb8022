package hint

import "time"

// slowdown is the part of the rate at which deliveries to an owner begin.
const slowdown = 16

// A pace says how fast hints may go to one owner. It begins slowly, one delivery at a time and at a
// fraction of the rate, and doubles both with each page that was delivered whole: an owner that
// has just come back has a cold cache and a queue of everybody's hints. A failure sets it back.
type pace struct {
	rateMax   float64 // bytes a second
	windowMax int     // deliveries at once

	rate   float64
	window int
	paid   time.Duration // moment up to which what was sent is paid for
}

func newPace(bytesPerSecond, windowMax int) *pace {
	p := &pace{rateMax: float64(bytesPerSecond), windowMax: windowMax}
	p.failed()
	return p
}

// failed sets the pace back to the beginning.
func (p *pace) failed() { p.rate, p.window = max(p.rateMax/slowdown, 1), 1 }

// delivered is told of a whole page.
func (p *pace) delivered() {
	p.rate, p.window = min(2*p.rate, p.rateMax), min(2*p.window, p.windowMax)
}

// spend takes the bytes out of the bucket and returns how long to wait before sending them. The
// bucket holds what flows in within a second, so that much may go at once after a pause.
func (p *pace) spend(now time.Duration, bytes int) (wait time.Duration) {
	p.paid = max(p.paid, now-time.Second)
	wait = max(p.paid-now, 0)
	p.paid += time.Duration(float64(bytes) / p.rate * float64(time.Second))
	return wait
}
