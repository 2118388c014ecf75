package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The campaigns that members' own codes belong to, made when the first is
// wanted, with the policy's defaults for them.
const (
	InvitesCampaign   = "invites"
	ReferralsCampaign = "referrals"
)

// MaxInvites is how many invites one call may mint.
const MaxInvites = 50

// Invite asks for invites from a member's allotment.
type Invite struct {
	Subject   string // canonical
	Count     int    // 1 to MaxInvites; 1 where there is a recipient
	Recipient string // canonical e-mail that alone may redeem it; "" for anybody
	Proof     string // the caller's Idempotency-Key; "" if there was none
	Begin     bool   // for a referral code: the caller speaks for the subject
}

// Invited are the invites minted.
type Invited struct {
	Codes     []NewCode // with their Display
	Allotment Rounds    // what may still be minted
	Replayed  bool      // minted by an earlier request with the same proof
	Epoch     uint64    // of the history that Position stands in
	Position  uint64
}

// Inviter mints members' codes.
type Inviter interface {
	Launch(ctx context.Context, name string) (*Launch, error)
	Now(ctx context.Context, launch string) (time.Time, error)
	CreateCampaign(ctx context.Context, launch string, c Campaign, by Actor) (*Campaign, error)
	// MintInvites mints codes of a campaign from the allotment, all of them or
	// none: *CodesExist, member_unknown, allotment_exhausted,
	// invites_per_day_exceeded.
	MintInvites(ctx context.Context, launch string, campaign uint32, codes []NewCode, ask Invite) (Invited, error)
	// ReferralCode is the member's code, or the one proposed, minted now:
	// *CodesExist, member_unknown.
	ReferralCode(ctx context.Context, launch string, campaign uint32, proposed NewCode, ask Invite) (Code, error)
}

// InviteKeys makes check characters, and the secret that a repeated request's
// codes are derived from.
type InviteKeys interface {
	Checker
	MintKey(launch, what string) []byte
}

// MintInvites mints invites from a member's allotment. Under a proof the codes
// follow from it, so that a repeated request is answered the same ones.
func MintInvites(ctx context.Context, s Inviter, keys InviteKeys, l *Launch, ask Invite) (Invited, error) {
	campaign, t, err := memberCampaign(ctx, s, l, InvitesCampaign, KindInvite, TypePersonal, l.Policy.Codes.Personal.Defaults())
	if err != nil {
		return Invited{}, err
	}
	expires, err := expiry(ctx, s, l, campaign)
	if err != nil {
		return Invited{}, err
	}
	secret := []byte(nil)
	if ask.Proof != "" {
		secret = keys.MintKey(l.Name, "invites\x00"+ask.Subject+"\x00"+ask.Proof)
	}
	codes, number := make([]NewCode, ask.Count), make([]uint64, ask.Count)
	fill := func(i int) {
		code := Code("")
		if secret == nil {
			code = t.Generate(keys, l.Name)
		} else {
			code = t.Nth(keys, l.Name, secret, uint64(i)+number[i]<<32)
		}
		codes[i] = NewCode{Code: code, Display: t.Display(code), ExpiresAt: expires, Recipient: ask.Recipient, Issuer: ask.Subject}
		number[i]++
	}
	for i := range codes {
		fill(i)
	}
	for range maxRefills {
		made, err := s.MintInvites(ctx, l.Name, campaign.Number, codes, ask)
		var exist *CodesExist
		if !errors.As(err, &exist) {
			made.Codes = codes
			return made, err
		}
		for _, i := range exist.Indexes {
			fill(i)
		}
	}
	return Invited{}, Refuse(CodeExists)
}

// ReferralCodeOf is the member's personal referral code, made when it is first
// asked for.
func ReferralCodeOf(ctx context.Context, s Inviter, keys InviteKeys, l *Launch, ask Invite) (NewCode, error) {
	campaign, t, err := memberCampaign(ctx, s, l, ReferralsCampaign, KindReferral, TypeLink, l.Policy.Codes.Referral)
	if err != nil {
		return NewCode{}, err
	}
	expires, err := expiry(ctx, s, l, campaign)
	if err != nil {
		return NewCode{}, err
	}
	for range maxRefills {
		proposed := NewCode{Code: t.Generate(keys, l.Name), ExpiresAt: expires, Issuer: ask.Subject}
		code, err := s.ReferralCode(ctx, l.Name, campaign.Number, proposed, ask)
		var exist *CodesExist
		if !errors.As(err, &exist) {
			return NewCode{Code: code, Display: t.Display(code)}, err
		}
	}
	return NewCode{}, Refuse(CodeExists)
}

// memberCampaign finds the campaign of members' own codes, and makes it if it
// is not there yet.
func memberCampaign(ctx context.Context, s Inviter, l *Launch, name string, kind Kind, typ CampaignType, d CodeDefaults) (*Campaign, Template, error) {
	c := l.FindCampaign(name)
	if c == nil {
		f, err := ParseFormat(d.Format)
		if err != nil {
			return nil, Template{}, err
		}
		bound, err := f.Bind(FormatValues{Prefix: "INV", Period: "X", Campaign: name})
		if err != nil {
			return nil, Template{}, err
		}
		made := Campaign{Name: name, Kind: kind, Type: typ, MaxUses: d.Uses, Expires: d.Expires, Format: bound.String()}
		c, err = s.CreateCampaign(ctx, l.Name, made, Actor{Name: "system", Note: "for members' own codes"})
		if errors.Is(err, Refuse(CampaignExists)) { // somebody else made it meanwhile
			now, readErr := s.Launch(ctx, l.Name)
			if readErr != nil {
				return nil, Template{}, readErr
			}
			c = now.FindCampaign(name)
			if c == nil {
				return nil, Template{}, &Error{Reason: Overloaded, RetryAfter: time.Second}
			}
		} else if err != nil {
			return nil, Template{}, err
		}
	}
	if c.Kind != kind || c.Type != typ {
		return nil, Template{}, &Error{Reason: Conflict, Detail: fmt.Sprintf("The campaign %q is of another kind; rename it, so that members' own codes can have one.", name)}
	}
	t, err := ParseTemplate(c.Format)
	return c, t, err
}

// expiry is when a code of the campaign that is minted now expires; zero for
// never by itself.
func expiry(ctx context.Context, s Inviter, l *Launch, c *Campaign) (time.Time, error) {
	if c.Expires == 0 {
		return time.Time{}, nil
	}
	now, err := s.Now(ctx, l.Name)
	return now.Add(time.Duration(c.Expires)).Truncate(time.Millisecond), err
}

// InviteRow is a code that a member gave away, as Postgres knows it.
type InviteRow struct {
	Code       string    `json:"code"` // as written
	Status     string    `json:"status"`
	Recipient  string    `json:"recipient,omitempty"`
	Uses       int       `json:"uses"`
	MaxUses    int       `json:"max_uses"`
	Opened     int       `json:"opened"` // visits of its link
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	Created    time.Time `json:"created_at"`
	RedeemedAt time.Time `json:"redeemed_at,omitzero"` // last
}

// The statuses of an invite, for the member.
const (
	InvitePending  = "pending"
	InviteAccepted = "accepted" // used up
	InviteExpired  = "expired"
	InviteRevoked  = "revoked"
)
