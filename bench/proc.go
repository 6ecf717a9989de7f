package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of /proc/PID/stat's times: USER_HZ, which is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime is the user and system time that a process has used, all its threads together.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(b))
}

// parseStat reads utime and stime, the 14th and 15th fields; the second, the program's name in parentheses, may have blanks in it.
func parseStat(stat string) (time.Duration, error) {
	i := strings.LastIndexByte(stat, ')')
	f := strings.Fields(stat[i+1:])
	if i < 0 || len(f) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat is %q, which is not understood", stat)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// resident is a process's proportional set size in bytes: its own memory, and its share of what it has in common with others.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parsePss(string(b))
}

func parsePss(rollup string) (int64, error) {
	for line := range strings.Lines(rollup) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("smaps_rollup has no line with Pss")
}

func loadavg() (string, error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	f := strings.Fields(string(b))
	return strings.Join(f[:min(3, len(f))], " "), nil
}

// raiseFiles lets this process, and those that it starts, have that many files open.
func raiseFiles(n uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur, l.Max = max(l.Cur, n), max(l.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("asking for %d open files: %w: raise the limit (ulimit -n)", n, err)
	}
	return nil
}

// machine says what is measured on, and with which versions.
func machine(ctx context.Context, w *world) ([]string, error) {
	model, memory := "unknown CPU", "unknown"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				memory = fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
			}
		}
	}
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return nil, err
	}
	kernel := ""
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		kernel += string(rune(c))
	}
	bouncer, err := exec.CommandContext(ctx, "pgbouncer", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking for PgBouncer's version: %w: install the package pgbouncer", err)
	}
	first, _, _ := strings.Cut(string(bouncer), "\n")
	driver := os.Getenv("SEGUE_DRIVER") // the proxies have this process's environment
	if driver == "" {
		driver = "not said: the default"
	}
	return []string{
		fmt.Sprintf("%d cores, %s, %s of memory, Linux %s", runtime.NumCPU(), model, memory, kernel),
		fmt.Sprintf("PostgreSQL %s (fsync off, throwaway), %s, %s; the proxy's driver (SEGUE_DRIVER): %s", w.version, first, runtime.Version(), driver),
	}, nil
}

// commit names the commit that is checked out; a + behind it, where files differ from it.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// treeTime is the user and system time of a process, of its children, and of those of them that have ended.
func treeTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	text := string(b)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 15 {
		return 0, fmt.Errorf("/proc/PID/stat is %q, which is not understood", text)
	}
	var sum int64
	for _, s := range f[11:15] { // utime, stime, and both of the children that were waited for
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	total := time.Duration(sum) * tick
	b, err = os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, fmt.Errorf("looking for the server's sessions: %w", err)
	}
	for s := range strings.FieldsSeq(string(b)) {
		child, err := strconv.Atoi(s)
		if err != nil {
			return 0, err
		}
		d, err := cpuTime(child)
		if errors.Is(err, os.ErrNotExist) {
			continue // it ended meanwhile: the parent has its time by the next look
		}
		if err != nil {
			return 0, err
		}
		total += d
	}
	return total, nil
}
