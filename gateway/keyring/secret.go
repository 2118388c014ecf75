package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// MinSecret is the least length of a secret, in bytes.
const MinSecret = 32

// GenerateSecret makes a secret of 32 random bytes, in hex.
func GenerateSecret() string {
	var b [MinSecret]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// ParseSecrets reads secrets separated by commas or white space, each at least
// 32 bytes in hex or base64 of either alphabet, newest first. Errors never show
// one.
func ParseSecrets(text string) ([][]byte, error) {
	var secrets [][]byte
	for i, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' }) {
		b, err := parseSecret(word)
		if err != nil || len(b) < MinSecret {
			return nil, fmt.Errorf("secret %d: use at least %d bytes in hex or base64 (openssl rand -hex 32)", i+1, MinSecret)
		}
		secrets = append(secrets, b)
	}
	if secrets == nil {
		return nil, errors.New("no secret given: use at least 32 bytes in hex (openssl rand -hex 32)")
	}
	return secrets, nil
}

// parseSecret reads what consists of hex digits as hex only: hex that lost a
// digit is not another secret in base64.
func parseSecret(word string) ([]byte, error) {
	if strings.Trim(word, "0123456789abcdefABCDEF") == "" {
		return hex.DecodeString(word)
	}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(word, "="))
	return base64.RawStdEncoding.DecodeString(standard)
}
