package main

import (
	"context"
	"fmt"
)

// checkAll compares what clients were told with what the stores hold. Nothing
// is published when they differ.
func checkAll(ctx context.Context, w *world, f *figures) error {
	for _, c := range w.answerable {
		n, err := c.count(ctx)
		if err != nil {
			return fmt.Errorf("%s, launch %s: %w", c.name, c.launch, err)
		}
		told := int64(c.told)
		if n.Uses != told || n.Members != told || n.Records != told {
			return fmt.Errorf("%s told clients of %d redemptions in the launch %s, but its stores hold %d uses, %d members and %d records: no figures",
				c.name, told, c.launch, n.Uses, n.Members, n.Records)
		}
		f.Checked += told
	}
	return nil
}
