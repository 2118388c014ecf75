package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
	"admitone/gateway/strictjson"
)

// mintBody asks for so many generated codes, or for chosen ones.
type mintBody struct {
	Count int        `json:"count"`
	Codes []codeBody `json:"codes"`
}

// codeBody is a chosen code: a text, or an object with more.
type codeBody struct {
	Code      string    `json:"code"`
	MaxUses   int       `json:"max_uses"`
	ExpiresAt time.Time `json:"expires_at"`
	Recipient string    `json:"recipient"`
	Issuer    string    `json:"issuer"`
}

// UnmarshalJSON takes both forms.
func (b *codeBody) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &b.Code)
	}
	type plain codeBody
	return strictjson.Object(text, (*plain)(b))
}

// codeView is a minted code as the API shows it.
type codeView struct {
	Code      string    `json:"code"`
	MaxUses   int       `json:"max_uses,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

func viewCodes(codes []gateway.NewCode) map[string]any {
	list := make([]codeView, len(codes))
	for i, c := range codes {
		list[i] = codeView{c.Display, c.MaxUses, c.ExpiresAt}
	}
	return map[string]any{"codes": list}
}

func (s *server) mintCodes(c *call) error {
	l, campaign, err := c.campaign(s)
	if err != nil {
		return err
	}
	var body mintBody
	if err := c.decode(&body); err != nil {
		return err
	}
	switch {
	case (body.Count != 0) == (body.Codes != nil):
		return gateway.Invalid("count", `Give either "count" or "codes".`)
	case body.Codes != nil:
		return s.mintChosen(c, l, campaign, body.Codes)
	case body.Count < 1 || body.Count > gateway.MaxMintJob:
		return gateway.Invalid("count", "Use a whole number from 1 to 1000000.")
	}
	live, err := s.Ledger.CountCodes(c.r.Context(), l.Name, campaign.Number) // for the guard against guessing
	if err != nil {
		return err
	}
	if body.Count > gateway.MaxImport {
		return s.startJob(c, l, campaign, body.Count, live)
	}
	codes, err := s.minting(c, l, campaign).Generate(c.r.Context(), body.Count, live)
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, viewCodes(codes))
}

func (s *server) minting(c *call, l *gateway.Launch, campaign *gateway.Campaign) *gateway.Minting {
	return &gateway.Minting{Store: s.Store, Checker: s.Checker, Launch: l, Campaign: campaign, By: c.by("")}
}

func (s *server) startJob(c *call, l *gateway.Launch, campaign *gateway.Campaign, count, live int) error {
	t, err := gateway.ParseTemplate(campaign.Format)
	if err == nil {
		err = t.Guard(live + count)
	}
	if err != nil {
		return err
	}
	j := gateway.MintJob{ID: gateway.NewID(time.Now()), Launch: l.Name, Campaign: campaign.Number, Count: count, Actor: c.key.Name, Created: time.Now().UTC()}
	if err := s.Queue.Mint(c.r.Context(), j); err != nil {
		return err
	}
	return c.answer(http.StatusAccepted, map[string]any{"job": j})
}

func (s *server) getJob(c *call) error {
	id, err := c.pathID("job", gateway.NotFound)
	if err != nil {
		return err
	}
	j, err := s.Ledger.Job(c.r.Context(), c.r.PathValue("launch"), id)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"job": j})
}

var errNotVanity = &gateway.Error{Reason: gateway.InvalidRequest, Field: "codes", Detail: `This campaign takes generated codes only; make it with "vanity": true to choose codes.`}

func (s *server) mintChosen(c *call, l *gateway.Launch, campaign *gateway.Campaign, list []codeBody) error {
	if !campaign.Vanity {
		return errNotVanity
	}
	if len(list) == 0 || len(list) > gateway.MaxImport {
		return gateway.Invalid("codes", "Give 1 to 10000 codes.")
	}
	person := personOf(&l.Policy)
	codes := make([]gateway.NewCode, len(list))
	for i, b := range list {
		field := "codes[" + strconv.Itoa(i) + "]"
		code, err := gateway.ReadCode(b.Code)
		if err != nil {
			return gateway.Invalid(field+".code", err.Error())
		}
		if b.MaxUses < 0 || b.MaxUses > gateway.MaxUses {
			return gateway.Invalid(field+".max_uses", "Use a whole number from 1 to 1000000000.")
		}
		codes[i] = gateway.NewCode{Code: code, Display: gateway.DisplayText(b.Code), MaxUses: b.MaxUses, ExpiresAt: b.ExpiresAt}
		for _, p := range []struct {
			name, given string
			to          *string
		}{{"recipient", b.Recipient, &codes[i].Recipient}, {"issuer", b.Issuer, &codes[i].Issuer}} {
			if p.given == "" {
				continue
			}
			if *p.to, err = person(p.given); err != nil {
				return gateway.Invalid(field+"."+p.name, strictjson.Sentence(err.Error()))
			}
		}
	}
	return s.mintList(c, l, campaign, codes, func(e *gateway.CodesExist) error { return e })
}

// mintList mints chosen codes and answers them; exist says which were taken.
func (s *server) mintList(c *call, l *gateway.Launch, campaign *gateway.Campaign, codes []gateway.NewCode, exist func(*gateway.CodesExist) error) error {
	if campaign.Expires != 0 {
		now, err := s.Store.Now(c.r.Context(), l.Name)
		if err != nil {
			return err
		}
		for i := range codes {
			if codes[i].ExpiresAt.IsZero() {
				codes[i].ExpiresAt = now.Add(time.Duration(campaign.Expires))
			}
		}
	}
	_, err := s.Store.Mint(c.r.Context(), l.Name, campaign.Number, codes, c.by(""))
	var taken *gateway.CodesExist
	if errors.As(err, &taken) {
		return exist(taken)
	}
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, viewCodes(codes))
}

func (s *server) importCodes(c *call) error {
	l, campaign, err := c.campaign(s)
	if err != nil {
		return err
	}
	if !campaign.Vanity {
		return errNotVanity
	}
	if _, err := c.mediaType("text/csv"); err != nil {
		return err
	}
	b, err := c.body(2 * maxBody)
	if err != nil {
		return err
	}
	read, err := gateway.ReadCodes(strings.NewReader(string(b)), personOf(&l.Policy))
	if err != nil {
		return err
	}
	if read.Problems != nil {
		return &importError{read.Problems}
	}
	if len(read.Codes) == 0 {
		return gateway.Invalid("body", "There is no code in it.")
	}
	return s.mintList(c, l, campaign, read.Codes, func(e *gateway.CodesExist) error {
		lines := make([]gateway.LineError, len(e.Indexes))
		for i, at := range e.Indexes {
			lines[i] = gateway.LineError{Line: read.Lines[at], Message: "this code exists already"}
		}
		return &importError{lines}
	})
}
