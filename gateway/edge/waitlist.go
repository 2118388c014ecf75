package edge

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

const joinFields = 1<<fEmail | 1<<fName | 1<<fSource | 1<<fRef | 1<<fIP

// join answers POST /v1/launches/{l}/waitlist. The place and the ticket of an
// entry that is on the list already are for whoever joined, known by the
// Idempotency-Key, and for back ends. Anybody else learns only that the address
// is on the list, or anybody could watch anybody by naming the address.
func (q *request) join() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	if err := q.authorizeServer(); err != nil {
		return err
	}
	b, err := q.body(joinFields)
	if err != nil {
		return err
	}
	durability, err := q.durability()
	if err != nil {
		return err
	}
	j, err := q.readJoin(&b)
	if err != nil {
		return err
	}
	return q.answerJoin(&j, durability, fasthttp.StatusCreated)
}

func (q *request) readJoin(b *body) (j gateway.Join, err error) {
	if j.Address, _, err = q.counted(b); err != nil {
		return j, err
	}
	if j.Proof, err = q.proof(); err != nil {
		return j, err
	}
	if !b.given(fEmail) {
		return j, gateway.Invalid("email", "Give the e-mail address that is to be told when its turn has come.")
	}
	mail, refusal := canonical(&q.launch.Policy, "email", b.value[fEmail])
	if refusal != nil {
		return j, refusal
	}
	j.Email, j.Name, j.Vouched = mail, b.value[fName], q.key != nil
	if j.Source, j.Points, err = q.source(b.value[fSource]); err != nil {
		return j, err
	}
	if purpose, key, ok := q.server.config.Keyring.OpenTicket(q.launch.Name, b.value[fRef]); ok && purpose == keyring.TicketReferral {
		j.Referrer = key.String() // what is no referral of this launch is none at all
	}
	return j, nil
}

// source is where somebody comes from, and the points that it is worth: the
// policy says whose word counts.
func (q *request) source(given string) (source string, points int, err error) {
	w := &q.launch.Policy.Waitlist
	counts := q.key != nil || w.Sources == gateway.SourcesClient
	source = given
	if strings.Contains(given, ".") {
		var signed bool
		if source, signed = q.server.config.Keyring.VerifySource(q.launch.Name, given); !signed {
			return "", 0, gateway.Invalid("source", "Use a–z, 0–9, _ and - only, or a source as the launch signed it, whole.")
		}
		counts = counts || w.Sources == gateway.SourcesSigned
	}
	if err := checkSource(source); err != nil {
		return "", 0, err
	}
	if counts {
		points = w.Boosts.Sources[source]
	}
	return source, points, nil
}

// answerJoin joins and answers; status is that of a new entry.
func (q *request) answerJoin(j *gateway.Join, durability gateway.Durability, status int) error {
	a, err := q.server.config.Store.Join(q.server.running, q.launch.Name, j)
	if err != nil {
		return err
	}
	receipt, late := q.receipt(durability, a.Epoch, a.Position, a.Known)
	if a.Known && !a.Proven && q.key == nil {
		q.out = q.appendListed(q.out[:0], receipt)
	} else {
		q.out = q.appendJoined(q.out[:0], &a, receipt)
	}
	if a.Known {
		q.outcome = outcomeReplayed
	}
	switch {
	case late, status == fasthttp.StatusAccepted:
		q.send(fasthttp.StatusAccepted)
	case a.Known:
		q.send(fasthttp.StatusOK)
	default:
		q.send(status)
	}
	return nil
}

func (q *request) appendJoined(b []byte, a *gateway.Joined, rc receipt) []byte {
	ring, launch := q.server.config.Keyring, q.launch.Name
	referral := ring.Ticket(keyring.TicketReferral, launch, a.Key)
	if q.route == routeRedeem {
		b = append(b, `{"status":"waitlisted","ticket":"`...)
	} else {
		b = append(append(append(b, `{"status":"`...), a.Status...), `","ticket":"`...)
	}
	b = append(append(b, ring.Ticket(keyring.TicketOwner, launch, a.Key)...), '"')
	if a.Place > 0 {
		b = strconv.AppendInt(append(b, `,"position":`...), int64(a.Place), 10)
	}
	b = strconv.AppendInt(append(b, `,"total":`...), int64(a.Total), 10)
	b = strconv.AppendInt(append(b, `,"priority":`...), int64(a.Priority), 10)
	b = strconv.AppendBool(append(b, `,"known":`...), a.Known)
	if !a.Known {
		b = strconv.AppendBool(append(b, `,"referred":`...), a.Referred)
	}
	b = append(append(append(b, `,"referral_code":"`...), referral...), '"')
	if link := referralLink(q.launch.Policy.LandingURL, referral); link != "" {
		b = appendString(append(b, `,"referral_link":`...), link)
	}
	b = strconv.AppendInt(append(b, `,"next_poll_seconds":`...), int64(q.server.polls.pause(a.Place)), 10)
	return appendJoinReceipt(b, rc)
}

// appendListed answers who names an address that is on the list, and has not
// shown to be who joined.
func (q *request) appendListed(b []byte, rc receipt) []byte {
	b = append(b, '{')
	if q.route == routeRedeem {
		b = append(b, `"status":"waitlisted",`...)
	}
	b = append(b, `"known":true,"message":"This address is on the list already. Its place is shown to whoever joined: `...)
	b = append(b, `with the ticket of that answer, or when the join is repeated under its Idempotency-Key."`...)
	return appendJoinReceipt(b, rc)
}

func appendJoinReceipt(b []byte, rc receipt) []byte {
	b = append(append(b, `,"receipt":{"durability":"`...), rc.durability...)
	b = strconv.AppendUint(append(b, `","position":`...), rc.position, 10)
	return append(b, "}}"...)
}

// referralLink is the landing page with the referral in its query; "" where the
// launch has no page.
func referralLink(landing, referral string) string {
	u, err := url.Parse(landing)
	if landing == "" || err != nil {
		return ""
	}
	query := u.Query()
	query.Set("ref", referral)
	u.RawQuery = query.Encode()
	return u.String()
}

// ticketed reads the ticket of the path, which must be for the purpose.
func (q *request) ticketed(purpose string) (key gateway.EntryKey, err error) {
	if err := q.openLaunch(); err != nil {
		return key, err
	}
	if err := q.authorizeServer(); err != nil {
		return key, err
	}
	is, key, ok := q.server.config.Keyring.OpenTicket(q.launch.Name, text(q.param))
	switch {
	case !ok:
		return key, gateway.Refuse(gateway.TicketInvalid)
	case is == purpose, q.key != nil && is != keyring.TicketReferral:
		return key, nil
	}
	return key, &gateway.Error{
		Reason: gateway.Forbidden, Detail: "This ticket does not allow the call. Use the one that the first join answered, or the link in the e-mail.",
	}
}

// leave answers DELETE /v1/launches/{l}/waitlist/{ticket}.
func (q *request) leave() error { return q.changeEntry(gateway.LeaveEntry, keyring.TicketOwner) }

// decline answers POST /v1/launches/{l}/waitlist/{ticket}/decline.
func (q *request) decline() error { return q.changeEntry(gateway.DeclineEntry, keyring.TicketOwner) }

// confirmEntry answers POST /v1/launches/{l}/waitlist/{ticket}/confirm.
func (q *request) confirmEntry() error {
	return q.changeEntry(gateway.ConfirmEntry, keyring.TicketConfirm)
}

func (q *request) changeEntry(verb gateway.EntryVerb, purpose string) error {
	key, err := q.ticketed(purpose)
	if err != nil {
		return err
	}
	if len(q.ctx.PostBody()) > 0 {
		if _, err := q.body(0); err != nil {
			return err
		}
	}
	durability, err := q.durability()
	if err != nil {
		return err
	}
	by := gateway.Actor{Name: "ticket"}
	if q.key != nil {
		by.Name = q.key.Name
	}
	e, err := q.server.config.Store.ChangeEntry(q.server.running, q.launch.Name, gateway.ChangeEntry{Verb: verb, Key: key.String(), By: by})
	if err != nil {
		return err
	}
	receipt, _ := q.receipt(durability, e.Epoch, e.Position, false)
	q.ctx.Response.Header.Set("Admit-Durability", string(receipt.durability))
	p := placeOf(&e)
	q.out = q.appendPlace(q.out[:0], &p, purpose == keyring.TicketOwner)
	q.send(fasthttp.StatusOK)
	return nil
}
