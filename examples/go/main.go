// Asks a node over mutual TLS, shows what comes of it, and verifies the receipt with an implementation that is not
// Concordat's. README.md says how to run it.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	concordatv1 "concordat.example/concordat/v1"
)

//go:generate buf generate ../../proto

// A call that failed in one of these ways is put again as it was; its request_id makes that safe.
const retries = `{"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 4, "initialBackoff": "0.25s", "maxBackoff": "4s", "backoffMultiplier": 2,
	"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]}`

func main() {
	log.SetFlags(0)
	server := flag.String("server", "", "the node's `host:port`")
	folder := flag.String("folder", ".", "the folder of roots.pem, ico/client.pem and ico/client.key")
	key := flag.String("key", "", "the `file` with the ledger's verifier key")
	response := flag.String("response", "", "verify the response in this `file` too")
	flag.Parse()
	verifierKey := strings.TrimSpace(string(read(*key)))
	if err := run(*server, *folder, verifierKey, os.Getenv("CONCORDAT_TOKEN")); err != nil {
		log.Fatal(err)
	}
	if *response != "" {
		var kept concordatv1.RequestReleaseResponse
		check(proto.Unmarshal(read(*response), &kept))
		verified, err := VerifyResponse(&kept, verifierKey)
		check(err)
		contents := &concordatv1.IncidentContent{}
		for _, category := range kept.GetReleased().GetIncidents()[0].GetCategories() {
			check(proto.UnmarshalOptions{Merge: true}.Unmarshal(category.GetContent(), contents))
		}
		fmt.Printf("%s: `%s`, verified; found when %s\n", *response, verified.Outcome.GetOutcome(), contents.GetTimeline().GetDiscovery())
	}
}

// run asks twice: once well, once with a field that is wrong.
func run(server, folder, verifierKey, token string) error {
	connection, err := connect(server, folder, token)
	if err != nil {
		return err
	}
	defer connection.Close()
	releases := concordatv1.NewReleaseServiceClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	request := &concordatv1.RequestReleaseRequest{
		RequestId:  rand.Text(),
		Holder:     "ncsc",
		Target:     &concordatv1.RequestReleaseRequest_Reference{Reference: "ref_from-the-victim"},
		Purpose:    "harm-reduction",
		Categories: []string{"timeline"},
	}
	response, err := releases.RequestRelease(ctx, request)
	if err != nil {
		return fmt.Errorf("%s", explain(err))
	}
	verified, err := VerifyResponse(response, verifierKey)
	if err != nil {
		return err
	}
	if verified.Ask.GetRequestId() != request.GetRequestId() {
		return fmt.Errorf("the receipt is of another ask")
	}
	fmt.Printf("entry %d of %d says `%s`, verified\n", response.GetReceipt().GetIndex(), verified.Size, outcome(response))
	switch outcome := response.GetOutcome().(type) {
	case *concordatv1.RequestReleaseResponse_Released:
		fmt.Printf("  released: %d incidents\n", len(outcome.Released.GetIncidents()))
	case *concordatv1.RequestReleaseResponse_NotCovered:
		fmt.Printf("  not covered: %s\n", outcome.NotCovered.GetExplanation())
	case *concordatv1.RequestReleaseResponse_Open:
		fmt.Printf("  open: %s\n", outcome.Open.GetStatement())
	}

	request = proto.CloneOf(request)
	request.RequestId, request.Purpose = rand.Text(), "Harm reduction"
	if _, err = releases.RequestRelease(ctx, request); err == nil {
		return fmt.Errorf("a purpose that is none was accepted")
	}
	fmt.Println(explain(err))
	return nil
}

// connect makes a channel with the system's certificate that sends the officer's token with each call.
func connect(server, folder, token string) (*grpc.ClientConn, error) {
	// At each handshake as it is on disk then, so that a renewed certificate needs no restart. The token is bound to it: a
	// program that runs for longer gets a new token with a new certificate, and a new connection for both.
	load := func() (*tls.Certificate, error) {
		certificate, err := tls.LoadX509KeyPair(filepath.Join(folder, "ico/client.pem"), filepath.Join(folder, "ico/client.key"))
		return &certificate, err
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(read(filepath.Join(folder, "roots.pem"))) {
		return nil, fmt.Errorf("no certificate in roots.pem")
	}
	transport := credentials.NewTLS(&tls.Config{
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() },
		RootCAs:              roots,
		MinVersion:           tls.VersionTLS13,
	})
	return grpc.NewClient(server,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(bearer(token)),
		grpc.WithDefaultServiceConfig(retries))
}

// bearer is a token that somebody else made; it lives for minutes, so a program that runs for longer gets new ones.
type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// explain gives an error's code and message, its reason and the problem of each wrong field.
func explain(err error) string {
	failed := status.Convert(err)
	text := fmt.Sprintf("%s: %s", failed.Code(), failed.Message())
	for _, detail := range failed.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			text += "\n  reason " + detail.GetReason()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				text += fmt.Sprintf("\n  %s: %s", violation.GetField(), violation.GetDescription())
			}
		}
	}
	return text
}

func read(file string) []byte {
	bytes, err := os.ReadFile(file)
	check(err)
	return bytes
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
