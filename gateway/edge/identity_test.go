package edge

import (
	"testing"

	"admitone/gateway"
)

func TestIdentify(t *testing.T) {
	const none = "\x00" // the field is not given
	for _, c := range []struct {
		identity, subject, email string
		who, mail                string
		reason                   gateway.Reason
		field                    string
	}{
		{"any", "user-1", none, "user-1", "", "", ""},
		{"any", "User-1", none, "User-1", "", "", ""}, // an id is taken as it is
		{"any", "user-1", "Ann+news@X.example", "user-1", "ann@x.example", "", ""},
		{"any", none, "A.N.N@gmail.com", "ann@gmail.com", "ann@gmail.com", "", ""},
		{"any", none, "a.n.n@googlemail.com", "ann@gmail.com", "ann@gmail.com", "", ""},
		{"any", "Ann+x@X.example", none, "ann@x.example", "ann@x.example", "", ""}, // looks like an e-mail: is spelled like one
		{"any", "Ann@X.example", "ben@x.example", "ann@x.example", "ben@x.example", "", ""},
		{"any", none, none, "", "", gateway.InvalidRequest, "subject"},
		{"any", "", none, "", "", gateway.InvalidRequest, "subject"},
		{"any", "user-1 ", none, "", "", gateway.InvalidRequest, "subject"},
		{"any", "user-1", "", "", "", gateway.InvalidRequest, "email"},
		{"any", "@ann", none, "@ann", "", "", ""},
		{"any", "auth0|ann@x.example", none, "auth0|ann@x.example", "", "", ""},
		{"any", "a..b@x.example", none, "", "", gateway.InvalidRequest, "subject"},
		{"id", "user-1", none, "user-1", "", "", ""},
		{"id", none, "ann@x.example", "", "", gateway.InvalidRequest, "subject"},
		{"id", "user-1", "ann@x.example", "user-1", "ann@x.example", "", ""},
		{"email", none, "Ann@x.example", "ann@x.example", "ann@x.example", "", ""},
		{"email", "Ann@x.example", none, "ann@x.example", "ann@x.example", "", ""},
		{"email", "ANN@x.example", "ann+1@x.example", "ann@x.example", "ann@x.example", "", ""},
		{"email", "ben@x.example", "ann@x.example", "", "", gateway.InvalidRequest, "subject"},
		{"email", "user-1", "ann@x.example", "", "", gateway.InvalidRequest, "subject"},
		{"email", "user-1", none, "", "", gateway.InvalidRequest, "subject"},
		{"email", none, none, "", "", gateway.InvalidRequest, "email"},
		{"any", none, "ann@mailinator.com", "", "", gateway.EmailDisposable, "email"},
		{"any", "ann@mailinator.com", none, "", "", gateway.EmailDisposable, "subject"},
		{"any", "user-1", "ann@eu.mailinator.com", "", "", gateway.EmailDisposable, "email"},
		{"any", none, "ann@denied.example", "", "", gateway.EmailDenied, "email"},
		{"any", none, "ann@mx.denied.example", "", "", gateway.EmailDenied, "email"},
		{"any", none, "ann@yopmail.com", "ann@yopmail.com", "ann@yopmail.com", "", ""},                   // allowed, though disposable
		{"any", none, "ann@ok.denied.example", "ann@ok.denied.example", "ann@ok.denied.example", "", ""}, // allowed, though denied
	} {
		p := gateway.DefaultPolicy("writer")
		p.Subjects.Identity = c.identity
		p.Abuse.DenyEmailDomains = []string{"denied.example"}
		p.Abuse.AllowEmailDomains = []string{"yopmail.com", "ok.denied.example"}
		who, mail, err := identify(&p, c.subject, c.email, c.subject != none, c.email != none)
		got := gateway.Error{}
		if err != nil {
			got = *err
		}
		if who != c.who || mail != c.mail || got.Reason != c.reason || got.Field != c.field {
			t.Errorf("%s %q %q: got %q %q %v", c.identity, c.subject, c.email, who, mail, err)
		}
	}
	p := gateway.DefaultPolicy("writer")
	p.Abuse.DisposableEmail = gateway.DisposableAllow
	if _, _, err := identify(&p, "", "ann@mailinator.com", false, true); err != nil {
		t.Errorf("the policy takes disposable addresses: %v", err)
	}
}
