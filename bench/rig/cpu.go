package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/…/stat: Linux tells 100 a second.
const tick = 10 * time.Millisecond

// CPU is the processor time that each process and everything it started have
// used, those that have ended included.
func CPU(pids ...int) ([]time.Duration, error) {
	children, err := kinship()
	if err != nil {
		return nil, err
	}
	used := make([]time.Duration, len(pids))
	for i, pid := range pids {
		n, err := cpuTicks(pid)
		if err != nil {
			return nil, err
		}
		for _, p := range descendants(children, pid) {
			more, err := cpuTicks(p)
			if err != nil {
				continue // it ended meanwhile; its parent has its time now
			}
			n += more
		}
		used[i] = time.Duration(n) * tick
	}
	return used, nil
}

// cpuTicks are utime, stime, cutime and cstime of a process.
func cpuTicks(pid int) (uint64, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("rig: the times of process %d: %w", pid, err)
		}
		sum += n
	}
	return sum, nil
}

// stat are the fields of /proc/…/stat behind the program's name, the state
// first.
func stat(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("rig: the times of process %d: %w", pid, err)
	}
	// The name may hold spaces and brackets; the last bracket ends it.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 15 {
		return nil, errors.New("rig: /proc/…/stat is shorter than expected")
	}
	return fields, nil
}

// kinship are the children of every process.
func kinship() (map[int][]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, p := range paths {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil {
			continue
		}
		fields, err := stat(pid)
		if err != nil {
			continue // it ended meanwhile
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	return children, nil
}

// descendants are the processes that a process has started, and those that they
// have.
func descendants(children map[int][]int, pid int) []int {
	var all []int
	for _, p := range children[pid] {
		all = append(append(all, p), descendants(children, p)...)
	}
	return all
}
