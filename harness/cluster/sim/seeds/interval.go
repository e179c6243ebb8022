package seeds

import "math"

// Interval is where the true share of failures lies, with 95 % confidence, when so many
// of n independent seeds failed: Wilson's score interval, which holds for few failures
// and few seeds too. Without seeds it is everything.
func Interval(failures, n int) (lo, hi float64) {
	if n <= 0 {
		return 0, 1
	}
	const z = 1.959963984540054 // the normal distribution's 97.5 % quantile
	share, count := float64(failures)/float64(n), float64(n)
	scale := 1 + z*z/count
	centre := (share + z*z/(2*count)) / scale
	half := z * math.Sqrt(share*(1-share)/count+z*z/(4*count*count)) / scale
	return max(0, centre-half), min(1, centre+half)
}
