// Package jobs does what is too long for an answer, or has to be tried again
// until it succeeds: River jobs in Postgres, each inserted in the transaction
// that makes it necessary.
//
// queue.go takes jobs and lets the workers loose on them, again.go says what is
// done for every launch, put off or tried again. Followers make jobs of what the
// journal says, in the transaction that stores it: webhook.go, release.go,
// waitlist_mail.go and member_mail.go. Workers are mint.go, release.go,
// webhook_deliver.go and mail_send.go; from time to time refill.go, reward.go,
// anomaly.go and release_sweep.go look at every launch. schedule.go makes the
// releases of policies' schedules, and is no job: every gateway runs one.
package jobs
