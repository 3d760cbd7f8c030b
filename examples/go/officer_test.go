package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const contextFile = `
server = "localhost:1"
server_name = "localhost"
roots_file = "client.pem"
certificate_file = "client.pem"
key_file = "client.key"
[token]
key_file = "token.key"
kid = "one"
roles = ["requester"]
`

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// issued is a new certificate and its key, both in PEM, and the certificate's digest as a token has it.
func issued(t *testing.T) (certificate, key []byte, thumbprint string) {
	private := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, private.Public(), private))
	digest := sha256.Sum256(der)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pemOf(t, private),
		base64.RawURLEncoding.EncodeToString(digest[:])
}

func pemOf(t *testing.T, key any) []byte {
	der := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// A connection and the tokens on it are replaced when the certificate and its key are, and not before both are there.
func TestAConnectionIsReplacedWithItsTokensWhenBothFilesAre(t *testing.T) {
	folder := t.TempDir()
	put := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, tokenKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	put("context.toml", []byte(contextFile))
	put("token.key", pemOf(t, tokenKey))
	renewing := &Renewing{file: filepath.Join(folder, "context.toml")}
	if _, err := renewing.Connection(); err == nil {
		t.Fatal("there is no certificate yet")
	}
	certificate, key, _ := issued(t)
	put("client.pem", certificate)
	put("client.key", key)
	first, err := renewing.Connection()
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, _ = issued(t)
	put("client.pem", certificate)
	for range 2 {
		if again, err := renewing.Connection(); again != first || err != nil {
			t.Fatalf("half of a pair was taken: %v", err)
		}
	}
	put("client.key", key)
	second, err := renewing.Connection()
	if second == first || err != nil {
		t.Fatalf("the new pair was not taken: %v", err)
	}
	if again, _ := renewing.Connection(); again != second {
		t.Fatal("it was replaced although nothing changed")
	}
}

func TestATokenIsBoundToItsCertificateAndSigned(t *testing.T) {
	certificate, _, thumbprint := issued(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var context Context
	context.Token.Kid, context.Token.Officer = "one", "case-officer"
	block, _ := pem.Decode(certificate)
	officer, err := newTokens(&context, pemOf(t, private), block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	token := must[string](t)(officer.token(time.Unix(1_000_000_000, 0)))
	end := strings.LastIndex(token, ".")
	signature := must[[]byte](t)(base64.RawURLEncoding.DecodeString(token[end+1:]))
	if !ed25519.Verify(public, []byte(token[:end]), signature) {
		t.Fatal("the signature is wrong")
	}
	payload := must[[]byte](t)(base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1]))
	var claims struct {
		Sub string
		Exp int64
		Cnf map[string]string
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Sub != "case-officer" || claims.Exp != 1_000_000_300 || claims.Cnf["x5t#S256"] != thumbprint {
		t.Fatalf("it says something else: %s", payload)
	}
}
