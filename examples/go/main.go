// Asks a node over mutual TLS, shows what comes of it, and verifies the receipt with an implementation that is not
// Concordat's. README.md says how to run it.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	concordatv1 "concordat.example/concordat/v1"
)

//go:generate buf generate ../../proto

func main() {
	log.SetFlags(0)
	context := flag.String("context", "", "the context `file` of an officer of the ICO")
	key := flag.String("key", "", "the `file` with the ledger's verifier key")
	response := flag.String("response", "", "verify the response in this `file` too")
	flag.Parse()
	verifierKey := strings.TrimSpace(string(read(*key)))
	if err := run(&Renewing{file: *context}, verifierKey); err != nil {
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
func run(officer *Renewing, verifierKey string) error {
	connection, err := officer.Connection()
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
