package main

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	concordatv1 "concordat.example/concordat/v1"
)

// vector is the repository's own receipt, whose bytes never change, as the answer that it was handed out with.
func vector(t *testing.T) (*concordatv1.RequestReleaseResponse, string) {
	text, err := os.ReadFile("../../tests/it/vectors/format-1.txt")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, is := strings.Cut(strings.TrimSpace(line), " = "); is {
			values[name] = value
		}
	}
	encoded, err := hex.DecodeString(values["receipt"])
	if err != nil {
		t.Fatal(err)
	}
	receipt := new(concordatv1.Receipt)
	if err := proto.Unmarshal(encoded, receipt); err != nil {
		t.Fatal(err)
	}
	response := &concordatv1.RequestReleaseResponse{Request: "req_golden", Receipt: receipt}
	var said Verified
	if err := said.open(receipt); err != nil {
		t.Fatal(err)
	}
	// What was released is in the statement; the content that it commits to is not part of the vector.
	incident := &concordatv1.ReleasedIncident{}
	if released := said.Outcome.GetReleased(); len(released) > 0 {
		incident.Reference, incident.Handling = released[0].GetReference(), released[0].GetHandling()
	}
	response.Outcome = &concordatv1.RequestReleaseResponse_Released{
		Released: &concordatv1.Released{Incidents: []*concordatv1.ReleasedIncident{incident}},
	}
	return response, values["verifier_key"]
}

func TestTheVectorVerifies(t *testing.T) {
	response, key := vector(t)
	verified, err := VerifyResponse(response, key)
	if err != nil {
		t.Fatal(err)
	}
	if verified.Size != 5 || verified.Ask.GetRequester() != "ico" {
		t.Fatalf("it says something else: %v", verified)
	}
}

// Each byte of each part of the receipt, changed alone, makes it invalid.
func TestNoByteOfAReceiptCanBeChanged(t *testing.T) {
	response, key := vector(t)
	parts := map[string]func(*concordatv1.Receipt) *[]byte{
		"entry": func(r *concordatv1.Receipt) *[]byte { return &r.Entry },
	}
	for i := range response.GetReceipt().GetInclusion() {
		parts["inclusion"+string(rune('0'+i))] = func(r *concordatv1.Receipt) *[]byte { return &r.Inclusion[i] }
	}
	for i := range response.GetReceipt().GetOpenings() {
		parts["salt"+string(rune('0'+i))] = func(r *concordatv1.Receipt) *[]byte { return &r.Openings[i].Salt }
		parts["payload"+string(rune('0'+i))] = func(r *concordatv1.Receipt) *[]byte { return &r.Openings[i].Payload }
	}
	for name, part := range parts {
		for place := range *part(response.GetReceipt()) {
			changed := proto.CloneOf(response)
			(*part(changed.GetReceipt()))[place] ^= 1
			if _, err := VerifyResponse(changed, key); err == nil {
				t.Errorf("accepted with another byte %d in %s", place, name)
			}
		}
	}
	for place := range len(response.GetReceipt().GetCheckpoint()) {
		changed := proto.CloneOf(response)
		note := []byte(changed.GetReceipt().GetCheckpoint())
		if string(note[place+1:]) == "=\n" {
			// The last character of the signature has bits that do not count, and Go's library lets them be anything.
			continue
		}
		note[place] ^= 1
		changed.Receipt.Checkpoint = string(note)
		if _, err := VerifyResponse(changed, key); err == nil {
			t.Errorf("accepted with another byte %d in the checkpoint", place)
		}
	}
	for name, change := range map[string]func(*concordatv1.RequestReleaseResponse){
		"origin":   func(r *concordatv1.RequestReleaseResponse) { r.Receipt.Origin = "another.example" },
		"request":  func(r *concordatv1.RequestReleaseResponse) { r.Request = "req_other" },
		"index":    func(r *concordatv1.RequestReleaseResponse) { r.Receipt.Index += 1 << 63 },
		"handling": func(r *concordatv1.RequestReleaseResponse) { r.GetReleased().Incidents[0].Handling = nil },
		"outcome": func(r *concordatv1.RequestReleaseResponse) {
			r.Outcome = &concordatv1.RequestReleaseResponse_Open{Open: &concordatv1.Open{}}
		},
	} {
		changed := proto.CloneOf(response)
		change(changed)
		if _, err := VerifyResponse(changed, key); err == nil {
			t.Errorf("accepted with another %s", name)
		}
	}
	for index := range uint64(9) {
		changed := proto.CloneOf(response)
		changed.Receipt.Index = index
		if _, err := VerifyResponse(changed, key); (err == nil) != (index == response.GetReceipt().GetIndex()) {
			t.Errorf("index %d: %v", index, err)
		}
	}
}

// Content that the receipt does not commit to is not what was released.
func TestContentIsBound(t *testing.T) {
	response, key := vector(t)
	incident := response.GetReleased().GetIncidents()[0]
	incident.Categories = []*concordatv1.ReleasedCategory{
		{Category: "timeline", Salt: make([]byte, 32), Content: []byte("other")},
	}
	if _, err := VerifyResponse(response, key); err == nil {
		t.Error("accepted content that the receipt does not commit to")
	}
}
