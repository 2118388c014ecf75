package gatewaytest

import (
	"testing"
	"time"
)

func TestModel(t *testing.T) {
	Exercise(t, func(*testing.T) Backend {
		m := NewModel(time.Unix(1_800_000_000, 0))
		return Backend{Store: m, Patient: true, Pass: func(_ *testing.T, d time.Duration) { m.Pass(d) }}
	})
}
