package gatewaytest

import (
	"testing"
	"time"
)

func TestModel(t *testing.T) {
	Exercise(t, func(*testing.T) Store { return NewModel(time.Unix(1_800_000_000, 0)) })
}
