package proxy

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boottime is the time since the machine was started, time asleep included (CLOCK_BOOTTIME): a lease runs out on it also
// while the machine is suspended, and no change of the wall clock moves it.
func Boottime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("CLOCK_BOOTTIME cannot be read, which Linux has since 2.6.39: " + err.Error()) // not recoverable: leases would have no meaning
	}
	return time.Duration(t.Nano())
}
