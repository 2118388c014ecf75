package admin

import (
	"net/http"
	"time"

	"admitone/gateway"
	"admitone/gateway/strictjson"
)

// campaignBody is what a campaign is made of or changed by. What is left out
// has the policy's default for the type, or stays as it is.
type campaignBody struct {
	Name       *string               `json:"name"`
	Kind       *gateway.Kind         `json:"kind"`
	Type       *gateway.CampaignType `json:"type"`
	Tier       *string               `json:"tier"`
	Channel    *string               `json:"channel"`
	MaxUses    *int                  `json:"max_uses"`
	Starts     *time.Time            `json:"starts_at"`
	Ends       *time.Time            `json:"ends_at"`
	Expires    *gateway.Duration     `json:"expires"`
	Format     *string               `json:"format"`
	Prefix     string                `json:"prefix"`
	Period     string                `json:"period"`
	Cap        *int                  `json:"cap"`
	PerSubject *int                  `json:"per_subject"`
	Pace       *gateway.Rate         `json:"pace"`
	Vanity     *bool                 `json:"vanity"`
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// onto changes a campaign as the body says. Its format, and with it what a
// code looks like, is bound once.
func (b *campaignBody) onto(c *gateway.Campaign) error {
	set(&c.Name, b.Name)
	set(&c.Kind, b.Kind)
	set(&c.Type, b.Type)
	set(&c.Tier, b.Tier)
	set(&c.Channel, b.Channel)
	set(&c.MaxUses, b.MaxUses)
	set(&c.Starts, b.Starts)
	set(&c.Ends, b.Ends)
	set(&c.Expires, b.Expires)
	set(&c.Cap, b.Cap)
	set(&c.PerSubject, b.PerSubject)
	set(&c.Pace, b.Pace)
	set(&c.Vanity, b.Vanity)
	if b.Format == nil && (b.Prefix != "" || b.Period != "") && c.Number != 0 {
		return gateway.Invalid("format", "To change prefix or period, give the format too.")
	}
	if b.Format == nil && c.Number != 0 {
		return nil
	}
	set(&c.Format, b.Format)
	f, err := gateway.ParseFormat(c.Format)
	if err != nil {
		return gateway.Invalid("format", strictjson.Sentence(err.Error()))
	}
	t, err := f.Bind(gateway.FormatValues{Prefix: b.Prefix, Period: b.Period, Campaign: c.Name})
	if err != nil {
		return err
	}
	c.Format = t.String()
	return nil
}

func (s *server) createCampaign(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	var body campaignBody
	if err := c.decode(&body); err != nil {
		return err
	}
	made := gateway.Campaign{Kind: gateway.KindInvite, Type: gateway.TypeBulk}
	set(&made.Type, body.Type)
	defaults := l.Policy.CodesFor(made.Type)
	made.MaxUses, made.Expires, made.Format = defaults.Uses, defaults.Expires, defaults.Format
	if err := body.onto(&made); err != nil {
		return err
	}
	created, err := s.Store.CreateCampaign(c.r.Context(), l.Name, made, c.by(""))
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, created)
}

// campaign finds the campaign of the path, by name or id.
func (c *call) campaign(s *server) (*gateway.Launch, *gateway.Campaign, error) {
	l, err := c.launch(s)
	if err != nil {
		return nil, nil, err
	}
	found := l.FindCampaign(c.r.PathValue("campaign"))
	if found == nil {
		return nil, nil, gateway.Refuse(gateway.CampaignUnknown)
	}
	return l, found, nil
}

func (s *server) listCampaigns(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"data": orEmpty(l.Campaigns), "has_more": false})
}

func (s *server) getCampaign(c *call) error {
	_, found, err := c.campaign(s)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, found)
}

func (s *server) editCampaign(c *call) error {
	var body campaignBody
	if err := c.decode(&body); err != nil {
		return err
	}
	return s.changeCampaign(c, "", body.onto)
}

// changeCampaign reads, changes and writes a campaign, again when somebody
// else was faster.
func (s *server) changeCampaign(c *call, note string, change func(*gateway.Campaign) error) error {
	for range 10 {
		l, found, err := c.campaign(s)
		if err != nil {
			return err
		}
		changed := *found
		if err := change(&changed); err != nil {
			return err
		}
		saved, err := s.Store.PutCampaign(c.r.Context(), l.Name, changed, l.Version, c.by(note))
		if e, ok := err.(*gateway.Error); ok && e.Reason == gateway.Conflict {
			continue
		}
		if err != nil {
			return err
		}
		return c.answer(http.StatusOK, saved)
	}
	return gateway.Refuse(gateway.Conflict)
}

func setState(state gateway.CampaignState) func(*server, *call) error {
	return func(s *server, c *call) error {
		var body noteBody
		if err := c.decodeOptional(&body); err != nil {
			return err
		}
		return s.changeCampaign(c, body.Note, func(g *gateway.Campaign) error {
			g.State = state
			return nil
		})
	}
}
