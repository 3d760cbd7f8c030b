package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// A call that failed in one of these ways is put again as it was; its request_id makes that safe.
const retries = `{"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 4, "initialBackoff": "0.25s", "maxBackoff": "4s", "backoffMultiplier": 2,
	"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]}`

// What is under way on a connection that was replaced has this long: the node itself ends each after 15 minutes.
const parting = 20 * time.Minute

// Context is a context file: where the node is, and as whom it is called. Paths are relative to the file's folder.
type Context struct {
	Server          string
	ServerName      string `toml:"server_name"`
	RootsFile       string `toml:"roots_file"`
	CertificateFile string `toml:"certificate_file"`
	KeyFile         string `toml:"key_file"`
	Token           struct {
		KeyFile  string `toml:"key_file"`
		Kid      string
		Issuer   string
		Audience string
		Officer  string
		Unit     string
		Roles    []string
		Purposes []string
	}
}

// Renewing gives connections to programs that outlive a certificate. A token is good only on connections that its own
// certificate opened, so the two are replaced as one. Not for several goroutines at once.
type Renewing struct {
	file    string
	madeOf  []byte
	current *grpc.ClientConn
}

// Connection is the newest, by the context's files as they are now; files that do not belong together, half written ones
// among them, leave the last one. Take it for each piece of work, and anew whenever a stream ends.
func (r *Renewing) Connection() (*grpc.ClientConn, error) {
	connection, madeOf, err := r.open()
	switch {
	case err != nil && r.current == nil:
		return nil, err
	case err != nil || connection == nil:
		return r.current, nil
	}
	if old := r.current; old != nil {
		time.AfterFunc(parting, func() { old.Close() })
	}
	r.current, r.madeOf = connection, madeOf
	return connection, nil
}

// open makes a connection that speaks for the context's officer; none if nothing has changed.
func (r *Renewing) open() (*grpc.ClientConn, []byte, error) {
	var context Context
	if _, err := toml.DecodeFile(r.file, &context); err != nil {
		return nil, nil, err
	}
	names := []string{context.CertificateFile, context.KeyFile, context.RootsFile, context.Token.KeyFile}
	files, madeOf := make([][]byte, len(names)), sha256.New()
	for i, name := range names {
		var err error
		if files[i], err = os.ReadFile(filepath.Join(filepath.Dir(r.file), name)); err != nil {
			return nil, nil, err
		}
		fmt.Fprintf(madeOf, "%d\n%s", len(files[i]), files[i])
	}
	sum := madeOf.Sum(nil)
	if bytes.Equal(sum, r.madeOf) {
		return nil, nil, nil
	}
	pair, err := tls.X509KeyPair(files[0], files[1])
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(files[2]) {
		return nil, nil, fmt.Errorf("%s: there is no certificate in it", context.RootsFile)
	}
	officer, err := newTokens(&context, files[3], pair.Certificate[0])
	if err != nil {
		return nil, nil, err
	}
	transport := credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair},
		RootCAs:      roots,
		ServerName:   context.ServerName,
		MinVersion:   tls.VersionTLS13,
	})
	connection, err := grpc.NewClient(context.Server,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(officer),
		grpc.WithDefaultServiceConfig(retries))
	return connection, sum, err
}

// tokens signs a token for each call, as a case system does with its agency's registered key (docs/tokens.md).
type tokens struct {
	context *Context
	key     ed25519.PrivateKey
	binding string
}

// newTokens binds them to the system's own certificate: they are good only on connections that it opened.
func newTokens(context *Context, keyPEM, leaf []byte) (*tokens, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("the token key is not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, is := parsed.(ed25519.PrivateKey)
	if !is {
		return nil, errors.New("the token key is not of Ed25519")
	}
	thumbprint := sha256.Sum256(leaf)
	return &tokens{context, key, base64.RawURLEncoding.EncodeToString(thumbprint[:])}, nil
}

func (t *tokens) token(now time.Time) (string, error) {
	said := &t.context.Token
	parts := []map[string]any{
		{"typ": "at+jwt", "alg": "EdDSA", "kid": said.Kid},
		{
			"iss": said.Issuer, "sub": said.Officer, "aud": said.Audience,
			"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
			"jti": rand.Text(), "client_id": "example-go",
			"cnf":  map[string]string{"x5t#S256": t.binding},
			"unit": said.Unit, "roles": said.Roles, "purposes": said.Purposes,
		},
	}
	var signed string
	for _, part := range parts {
		text, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		signed += "." + base64.RawURLEncoding.EncodeToString(text)
	}
	signed = signed[1:]
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(t.key, []byte(signed))), nil
}

func (t *tokens) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := t.token(time.Now())
	return map[string]string{"authorization": "Bearer " + token}, err
}

func (*tokens) RequireTransportSecurity() bool { return true }
