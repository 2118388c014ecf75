package rig

import (
	"errors"
	"net/smtp"
	"testing"
)

func TestSMTPServer(t *testing.T) {
	refusal := errors.New("not today")
	var next error
	s := TestSMTP(t, SMTPOptions{Answer: func(*Letter) error { return next }})
	send := func(to, text string) error {
		return smtp.SendMail(s.Addr(), nil, "from@x.example", []string{to}, []byte(text))
	}
	plain := "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@x>\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nFive =E2=82=AC=\r\n more\r\n"
	if err := send("ann@x.example", plain); err != nil {
		t.Fatal(err)
	}
	next = refusal
	if err := send("bob@x.example", plain); err == nil {
		t.Error("a refusal is not told")
	}
	next = ErrCut
	if err := send("ann@x.example", plain); err == nil {
		t.Error("a cut connection is no error")
	}
	if err := send("cid@x.example", "Content-Type: image/png\r\n\r\nx"); err == nil {
		t.Error("what cannot be read is taken")
	}
	l := s.To("ann@x.example")
	if len(l) != 2 || l[0].Subject != "Grüße" || l[0].Text != "Five € more\n" || l[0].MessageID != "<1@x>" || l[0].From != "from@x.example" {
		t.Errorf("%+v", l)
	}
	if c := s.Counts(); len(c) != 1 || c["ann@x.example"] != 2 {
		t.Errorf("%v", c)
	}
	s.Stop()
	if err := send("ann@x.example", plain); err == nil {
		t.Error("a stopped server answers")
	}
	next = nil
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	if err := send("ann@x.example", plain); err != nil || len(s.Letters()) != 1 {
		t.Error(err)
	}
}
