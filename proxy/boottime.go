package proxy

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Boottime is the time since the machine was started, time asleep included (CLOCK_BOOTTIME): a lease runs out on it also
// while the machine is suspended, and no change of the wall clock moves it. The call is raw, since it returns at once and is made for every statement on a migrating table.
func Boottime() time.Duration {
	var t unix.Timespec
	if _, _, errno := syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		panic("CLOCK_BOOTTIME cannot be read, which Linux has since 2.6.39: " + errno.Error()) // not recoverable: leases would have no meaning
	}
	return time.Duration(t.Nano())
}
