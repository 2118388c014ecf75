package main

import (
	"context"
	"fmt"
	"io"

	"admitone/gateway"
	"admitone/gateway/client"
)

type rewardCommand struct {
	List    rewardList    `cmd:"" help:"List rewards, as Postgres knows them."`
	Approve rewardApprove `cmd:"" help:"Approve the pending reward for a friend's first purchase."`
	Reject  rewardReject  `cmd:"" help:"Reject a reward; one that was paid is taken back."`
}

type rewardList struct {
	remote
	Launch   string `arg:""`
	Status   string `help:"pending, approved, paid, reversed, capped, rejected or none."`
	Referrer string `help:"For friends of this person: the app's id, or an e-mail address."`
	Limit    int    `default:"50" help:"How many, 1 to 100."`
	After    string `help:"The next of the page before." placeholder:"CURSOR"`
}

// Run lists rewards.
func (c *rewardList) Run(ctx context.Context, api *client.Client) error {
	list, err := api.Rewards(ctx, c.Launch, gateway.RewardStatus(c.Status), c.Referrer, gateway.Page{Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		row(w, "FRIEND", "REFERRER", "STATUS", "TO FRIEND", "TO REFERRER", "CURRENCY", "DUE", "CHANGED")
		for _, r := range list.Data {
			row(w, r.Referee, r.Referrer, r.Status, r.ToReferee, r.ToReferrer, r.Currency, when(r.Due), when(r.Changed))
		}
		if list.HasMore {
			fmt.Fprintf(w, "more: --after %s\n", list.Next)
		}
	})
}

// rewardDecision is what an operator says of a reward.
type rewardDecision struct {
	remote
	Launch string `arg:""`
	Friend string `arg:"" help:"Whose purchase it is for; reward list names them."`
	Note   string `help:"Why, for the audit trail."`
}

type rewardApprove struct{ rewardDecision }

// Run approves a reward.
func (c *rewardApprove) Run(ctx context.Context, api *client.Client) error {
	return c.decide(ctx, api, gateway.ApproveReward)
}

type rewardReject struct{ rewardDecision }

// Run rejects a reward.
func (c *rewardReject) Run(ctx context.Context, api *client.Client) error {
	return c.decide(ctx, api, gateway.RejectReward)
}

func (c *rewardDecision) decide(ctx context.Context, api *client.Client, d gateway.RewardDecision) error {
	status, err := api.DecideReward(ctx, c.Launch, c.Friend, d, c.Note)
	if err != nil {
		return err
	}
	return c.print(map[string]gateway.RewardStatus{"status": status}, func(w io.Writer) {
		fmt.Fprintf(w, "the reward for %s is %s\n", c.Friend, status)
	})
}
