package gateway

import (
	"context"
	"errors"
)

// LicensesCampaign is the campaign of licence keys that a shop sold.
const LicensesCampaign = "licenses"

// Licenser keeps licence keys as codes.
type Licenser interface {
	Inviter
	Mint(ctx context.Context, launch string, campaign uint32, codes []NewCode, by Actor) (position uint64, err error)
	ChangeCodes(ctx context.Context, launch string, ch ChangeCodes) (uint64, error)
}

// License makes a licence key that was sold a code, or revokes one that was
// taken back; whatever was done already is no error. It answers what the key is
// now.
func License(ctx context.Context, s Licenser, l *Launch, code Code, text string, withdrawn bool) (CodeState, error) {
	by := Actor{Name: "gumroad", Note: "a licence key"}
	c := l.FindCampaign(LicensesCampaign)
	if c == nil {
		made := Campaign{Name: LicensesCampaign, Kind: KindLicense, Type: TypeBulk, MaxUses: 1, Format: "{random:10}", Vanity: true}
		var err error
		if c, err = s.CreateCampaign(ctx, l.Name, made, by); errors.Is(err, Refuse(CampaignExists)) {
			now, again := s.Launch(ctx, l.Name)
			if again != nil {
				return "", again
			}
			c, err = now.FindCampaign(LicensesCampaign), nil
		}
		if err != nil {
			return "", err
		}
	}
	if c == nil || c.Kind != KindLicense || !c.Vanity {
		return "", &Error{Reason: Conflict, Detail: `The campaign "licenses" must be of the kind license and take chosen codes.`}
	}
	_, err := s.Mint(ctx, l.Name, c.Number, []NewCode{{Code: code, Display: DisplayText(text)}}, by)
	if err != nil && !errors.Is(err, Refuse(CodeExists)) {
		return "", err
	}
	if !withdrawn {
		return CodeActive, nil
	}
	_, err = s.ChangeCodes(ctx, l.Name, ChangeCodes{Change: Revoke, Codes: []Code{code}, By: by})
	return CodeIsRevoked, err
}
