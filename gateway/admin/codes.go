package admin

import (
	"encoding/csv"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

func (s *server) listCodes(c *call) error {
	l, campaign, err := c.campaign(s)
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	list, err := s.Ledger.Codes(c.r.Context(), l.Name, campaign.Number, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
}

// exportCodes streams a campaign's codes as CSV.
func (s *server) exportCodes(c *call) error {
	l, campaign, err := c.campaign(s)
	if err != nil {
		return err
	}
	c.done, c.code = true, http.StatusOK
	c.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	c.w.Header().Set("Content-Disposition", `attachment; filename="codes.csv"`)
	out := csv.NewWriter(c.w)
	if err := out.Write([]string{"code", "campaign", "channel", "state", "used", "max_uses", "expires_at", "created_at"}); err != nil {
		return err
	}
	err = s.Ledger.ExportCodes(c.r.Context(), l.Name, campaign.Number, func(r gateway.CodeRow) error {
		expires := ""
		if !r.ExpiresAt.IsZero() {
			expires = r.ExpiresAt.Format(time.RFC3339)
		}
		return out.Write([]string{
			plainCell(r.Code), plainCell(r.Campaign), plainCell(r.Channel), string(r.State), strconv.Itoa(r.Used), strconv.Itoa(r.MaxUses), expires, r.Created.Format(time.RFC3339),
		})
	})
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	if err != nil {
		// Half a file must not look like a whole one.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// plainCell keeps a spreadsheet from taking a text for a formula.
func plainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// infoView is one code's record as the API shows it.
type infoView struct {
	Code      string            `json:"code"`
	Campaign  string            `json:"campaign"`
	State     gateway.CodeState `json:"state"`
	Used      int               `json:"used"`
	Held      int               `json:"held"`
	MaxUses   int               `json:"max_uses"`
	ExpiresAt time.Time         `json:"expires_at,omitzero"`
	Bound     bool              `json:"bound"`
	Issued    bool              `json:"issued_by_member"`
}

func (c *call) pathCode() (gateway.Code, error) {
	code, err := gateway.ReadCode(c.r.PathValue("code"))
	if err != nil {
		return "", gateway.Refuse(gateway.CodeUnknown)
	}
	return code, nil
}

func (s *server) getCode(c *call) error {
	code, err := c.pathCode()
	if err != nil {
		return err
	}
	return s.showCode(c, code)
}

func (s *server) showCode(c *call, code gateway.Code) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	info, err := s.Store.Code(c.r.Context(), l.Name, code)
	if err != nil {
		return err
	}
	name := ""
	if g := l.Campaign(info.Campaign); g != nil {
		name = g.Name
	}
	return c.answer(http.StatusOK, infoView{info.Display, name, info.State, info.Used, info.Held, info.MaxUses, info.ExpiresAt, info.Bound, info.Issued})
}

func (s *server) codeEvents(c *call) error {
	code, err := c.pathCode()
	if err != nil {
		return err
	}
	if _, err := s.Store.Code(c.r.Context(), c.r.PathValue("launch"), code); err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	list, err := s.Ledger.CodeEvents(c.r.Context(), c.r.PathValue("launch"), code, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
}

// changeBody says why codes change, until when they are renewed, and which.
type changeBody struct {
	Note      string    `json:"note"`
	ExpiresAt time.Time `json:"expires_at"`
	Codes     []string  `json:"codes"`
}

func (c *call) changeBody(change gateway.CodeChange) (changeBody, error) {
	var b changeBody
	if c.r.ContentLength != 0 {
		if err := c.decode(&b); err != nil {
			return b, err
		}
	}
	if err := checkNote(b.Note); err != nil {
		return b, err
	}
	if change != gateway.Renew && !b.ExpiresAt.IsZero() {
		return b, gateway.Invalid("expires_at", "Only a renewal has one.")
	}
	return b, nil
}

func changeOne(change gateway.CodeChange) func(*server, *call) error {
	return func(s *server, c *call) error {
		code, err := c.pathCode()
		if err != nil {
			return err
		}
		b, err := c.changeBody(change)
		if err != nil {
			return err
		}
		if b.Codes != nil {
			return gateway.Invalid("codes", "The path names the code already.")
		}
		if _, err := s.Store.ChangeCodes(c.r.Context(), c.r.PathValue("launch"), gateway.ChangeCodes{
			Change: change, Codes: []gateway.Code{code}, ExpiresAt: b.ExpiresAt, By: c.by(b.Note),
		}); err != nil {
			if errors.Is(err, gateway.Refuse(gateway.CodeUnknown)) {
				return gateway.Refuse(gateway.CodeUnknown)
			}
			return err
		}
		return s.showCode(c, code)
	}
}

func changeMany(change gateway.CodeChange) func(*server, *call) error {
	return func(s *server, c *call) error {
		b, err := c.changeBody(change)
		if err != nil {
			return err
		}
		if len(b.Codes) == 0 || len(b.Codes) > gateway.MaxImport {
			return gateway.Invalid("codes", "Give 1 to 10000 codes.")
		}
		ch := gateway.ChangeCodes{Change: change, ExpiresAt: b.ExpiresAt, By: c.by(b.Note)}
		for i, text := range b.Codes {
			code, err := gateway.ReadCode(text)
			if err != nil {
				return gateway.Invalid("codes["+strconv.Itoa(i)+"]", err.Error())
			}
			ch.Codes = append(ch.Codes, code)
		}
		position, err := s.Store.ChangeCodes(c.r.Context(), c.r.PathValue("launch"), ch)
		if err != nil {
			return err
		}
		return c.answer(http.StatusOK, map[string]any{"changed": len(ch.Codes), "position": position})
	}
}
