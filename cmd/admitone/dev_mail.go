package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"admitone/bench/rig"
	"admitone/sync/jobs"
)

const (
	mailDir   = "mail" // in the data directory
	mailFiles = 1000   // that are kept, the newest
	devRate   = 500    // e-mails a second, where they become files
	devSender = "AdmitOne <admitone@localhost>"
)

// startMail starts a mail server that keeps e-mails as files and sends them to
// nobody, unless a real one was named.
func (d *development) startMail() (jobs.SMTP, error) {
	if d.SMTPURL != "" {
		return d.smtp()
	}
	dir := filepath.Join(d.data, mailDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return jobs.SMTP{}, err
	}
	server, err := rig.StartSMTP(rig.SMTPOptions{Caught: func(l *rig.Letter, raw []byte) {
		if err := d.keepMail(dir, l.MessageID, raw); err != nil {
			d.log.Warn("an e-mail is not kept as a file", "error", err)
		}
	}})
	if err != nil {
		return jobs.SMTP{}, err
	}
	d.mail = server
	from := d.SMTPFrom
	if from == "" {
		from = devSender
	}
	return jobs.SMTP{URL: server.URL(), From: from, Rate: devRate, Connections: 4}, nil
}

// keepMail writes an e-mail to a file of its own, named by its id, so that the
// names are in the order of time.
func (d *development) keepMail(dir, messageID string, raw []byte) error {
	id, _, _ := strings.Cut(strings.Trim(messageID, "<>"), "@")
	err := writeFile(filepath.Join(dir, filepath.Base(id)+".eml"), 0o600, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
	if err != nil || d.kept.Add(1)%100 != 0 {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	for _, path := range old[:max(len(old)-mailFiles, 0)] {
		if gone := os.Remove(path); gone != nil && err == nil {
			err = gone
		}
	}
	return err
}
