package lua

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"admitone/gateway"
)

var campaignPut = declare("campaign_put", contract{
	keys:    "meta journal config campaigns",
	args:    "epoch seen expected number name rules head tail actor note",
	replies: []string{"put seq version number", "refused reason", "breach what"},
})

// CreateCampaign makes a campaign; its id, number and time are assigned here.
// It returns an invalid_request naming the field, or campaign_exists.
func (s *Store) CreateCampaign(ctx context.Context, name string, c gateway.Campaign, by gateway.Actor) (*gateway.Campaign, error) {
	now, err := s.Now(ctx, name)
	if err != nil {
		return nil, err
	}
	c.ID, c.Number, c.Created = gateway.NewID(now), 0, now
	if c.State == "" {
		c.State = gateway.CampaignActive
	}
	return s.putCampaign(ctx, name, c, 0, by)
}

// PutCampaign changes the campaign of c.Number. With a version other than 0 it
// returns conflict when the launch has changed since that version was read.
func (s *Store) PutCampaign(ctx context.Context, name string, c gateway.Campaign, version uint64, by gateway.Actor) (*gateway.Campaign, error) {
	if c.Number == 0 {
		return nil, gateway.Refuse(gateway.CampaignUnknown)
	}
	return s.putCampaign(ctx, name, c, version, by)
}

func (s *Store) putCampaign(ctx context.Context, name string, c gateway.Campaign, version uint64, by gateway.Actor) (*gateway.Campaign, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	l, err := s.launch(ctx, name)
	if err != nil {
		return nil, err
	}
	for {
		expected := version
		if c.Number == 0 {
			c.Succeed(nil)
		} else if expected, err = s.succeed(ctx, l, &c, version); err != nil {
			return nil, err
		}
		head, tail, err := splitDocument(c)
		if err != nil {
			return nil, err
		}
		r, err := s.call(ctx, l, campaignPut, []string{l.meta, l.journal, l.config, l.campaigns},
			expected, strconv.FormatUint(uint64(c.Number), 10), c.Name, campaignRules(&c), head, tail,
			url.QueryEscape(by.Name), url.QueryEscape(by.Note))
		if version == 0 && errors.Is(err, gateway.Refuse(gateway.Conflict)) {
			continue
		}
		if errors.Is(err, gateway.Refuse(gateway.CampaignExists)) {
			s.refresh(ctx, l) // made by somebody else a moment ago, it may not be known here yet
		}
		if err != nil {
			return nil, err
		}
		c.Number = campaignNumber(r.word(3))
		s.refresh(ctx, l)
		return &c, nil
	}
}

// succeed makes a campaign the successor of the one that Redis holds now, in
// the launch's version that it returns.
func (s *Store) succeed(ctx context.Context, l *launch, c *gateway.Campaign, version uint64) (uint64, error) {
	now, _, err := s.read(ctx, l)
	if err != nil {
		return 0, err
	}
	if version != 0 && version != now.Version {
		return 0, gateway.Refuse(gateway.Conflict)
	}
	was := now.Campaign(c.Number)
	if was == nil {
		return 0, gateway.Refuse(gateway.CampaignUnknown)
	}
	c.Succeed(was)
	return now.Version, nil
}

// splitDocument is the campaign's JSON around its number, which the script
// knows first.
func splitDocument(c gateway.Campaign) (head, tail string, err error) {
	c.Number = 0
	document, err := json.Marshal(c)
	if err != nil {
		return "", "", err
	}
	head, tail, ok := strings.Cut(string(document), `"number":0`)
	if !ok {
		return "", "", errors.New("lua: a campaign's document has no number")
	}
	return head + `"number":`, tail, nil
}

// campaignRules packs what the scripts need of a campaign; lib/records.lua
// reads it.
func campaignRules(c *gateway.Campaign) string {
	state := map[gateway.CampaignState]string{gateway.CampaignActive: "a", gateway.CampaignOnHold: "p", gateway.CampaignWithdrawn: "r"}[c.State]
	return strings.Join([]string{
		strconv.Itoa(c.MaxUses), unixMillis(c.Starts), unixMillis(c.Ends), state,
		strconv.Itoa(c.Cap), strconv.Itoa(c.PerSubject), flag(c.Kind.OncePerLaunch()),
		strconv.Itoa(c.Pace.Count), strconv.FormatInt(ms(c.Pace.Window), 10), flag(c.Type == gateway.TypePersonal),
	}, ";")
}
