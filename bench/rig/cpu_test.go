package rig

import (
	"os/exec"
	"testing"
	"time"
)

// TestCPU: the time that a child burns is told of its parent too, while it runs
// and when it has ended.
func TestCPU(t *testing.T) {
	// A shell that starts another one which counts for a while, and waits.
	cmd := exec.Command("sh", "-c", `sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; read x`)
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		hold.Close()
		_ = cmd.Wait() // of a read that met the end
	}()
	deadline := time.Now().Add(time.Minute)
	for {
		used, err := CPU(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		children, err := kinship()
		if err != nil {
			t.Fatal(err)
		}
		if used[0] >= 5*tick && len(children[cmd.Process.Pid]) == 0 {
			return // the child has ended, and is counted
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v used, children %v", used, children[cmd.Process.Pid])
		}
		time.Sleep(tick)
	}
}

func TestCPUOfNobody(t *testing.T) {
	if _, err := CPU(1 << 30); err == nil {
		t.Error("a process that does not exist has a time")
	}
}
