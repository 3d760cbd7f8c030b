package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/proto"

	concordatv1 "concordat.example/concordat/v1"
)

// Verified is what a receipt of an ask says, once all of it has been checked.
type Verified struct {
	Size    int64
	Ask     *concordatv1.AskStatement
	Outcome *concordatv1.OutcomeStatement
}

// VerifyResponse checks an ask's receipt with the ledger's verifier key, and that the receipt commits to every byte of
// content beside it. Trees and notes are those of Go's checksum database: nothing of Concordat's own code is used.
func VerifyResponse(response *concordatv1.RequestReleaseResponse, verifierKey string) (*Verified, error) {
	receipt := response.GetReceipt()
	size, root, err := openCheckpoint(receipt, verifierKey)
	if err != nil {
		return nil, err
	}
	proof := make(tlog.RecordProof, len(receipt.GetInclusion()))
	for i, sibling := range receipt.GetInclusion() {
		if copy(proof[i][:], sibling) != len(sibling) || len(sibling) != tlog.HashSize {
			return nil, errors.New("the inclusion proof has the wrong shape")
		}
	}
	leaf := tlog.RecordHash(receipt.GetEntry())
	if err := tlog.CheckRecord(proof, size, root, int64(receipt.GetIndex()), leaf); err != nil {
		return nil, fmt.Errorf("the entry is not in the tree that was signed: %w", err)
	}
	verified := &Verified{Size: size}
	if err := verified.open(receipt); err != nil {
		return nil, err
	}
	return verified, verified.covers(response)
}

// openCheckpoint opens the signed note and reads the checkpoint in it.
func openCheckpoint(receipt *concordatv1.Receipt, verifierKey string) (size int64, root tlog.Hash, err error) {
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return 0, root, fmt.Errorf("not a verifier key: %w", err)
	}
	opened, err := note.Open([]byte(receipt.GetCheckpoint()), note.VerifierList(verifier))
	if err != nil {
		return 0, root, fmt.Errorf("the checkpoint: %w", err)
	}
	lines := strings.SplitN(opened.Text, "\n", 4)
	if len(lines) < 4 || lines[0] != receipt.GetOrigin() || lines[0] != verifier.Name() {
		return 0, root, errors.New("the signed text is not a checkpoint of this ledger")
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &size); err != nil || fmt.Sprint(size) != lines[1] || size < 0 {
		return 0, root, errors.New("the checkpoint's size is not a number")
	}
	root, err = tlog.ParseHash(lines[2])
	return size, root, err
}

// open checks each opening against the entry's commitment for its slot, and reads what the requester may open.
func (v *Verified) open(receipt *concordatv1.Receipt) error {
	var entry concordatv1.LedgerEntry
	if err := proto.Unmarshal(receipt.GetEntry(), &entry); err != nil {
		return err
	}
	if entry.GetFormat() != 1 || len(entry.GetCommitments()) != 4 || entry.GetKind() != concordatv1.EntryKind_ENTRY_KIND_ASK {
		return errors.New("not the entry of an ask in format 1")
	}
	v.Ask, v.Outcome = new(concordatv1.AskStatement), new(concordatv1.OutcomeStatement)
	statements := map[concordatv1.Slot]proto.Message{
		concordatv1.Slot_SLOT_ACT:     v.Ask,
		concordatv1.Slot_SLOT_SUBJECT: new(concordatv1.SubjectStatement),
		concordatv1.Slot_SLOT_OUTCOME: v.Outcome,
		concordatv1.Slot_SLOT_GROUNDS: new(concordatv1.GroundsStatement),
	}
	for _, opening := range receipt.GetOpenings() {
		statement, there := statements[opening.GetSlot()]
		if !there || len(opening.GetSalt()) != sha256.Size {
			return errors.New("an opening of a slot that is not there, or is opened twice")
		}
		delete(statements, opening.GetSlot())
		if !bytes.Equal(commitment(opening.GetSalt(), opening.GetPayload()), entry.GetCommitments()[opening.GetSlot()-1]) {
			return errors.New("an opening is not what the entry commits to")
		}
		if err := proto.Unmarshal(opening.GetPayload(), statement); err != nil {
			return err
		}
	}
	return nil
}

// covers checks that the receipt is of this answer and commits to what it carries.
func (v *Verified) covers(response *concordatv1.RequestReleaseResponse) error {
	if v.Ask.GetRequest() != response.GetRequest() || v.Outcome.GetOutcome() != outcome(response) {
		return errors.New("the receipt is of another answer")
	}
	for _, incident := range response.GetReleased().GetIncidents() {
		var promised *concordatv1.ReleasedStatement
		for _, released := range v.Outcome.GetReleased() {
			if released.GetReference() == incident.GetReference() {
				promised = released
			}
		}
		if promised == nil || !proto.Equal(promised.GetHandling(), incident.GetHandling()) {
			return errors.New("the receipt does not commit to this incident and its handling terms")
		}
		commitments := map[string][]byte{}
		for _, category := range promised.GetCategories() {
			commitments[category.GetCategory()] = category.GetCommitment()
		}
		for _, category := range incident.GetCategories() {
			name := category.GetCategory()
			if !bytes.Equal(commitment(category.GetSalt(), category.GetContent()), commitments[name]) {
				return fmt.Errorf("the receipt does not commit to this content of `%s`", name)
			}
		}
	}
	return nil
}

// outcome is the outcome's name as the statement has it.
func outcome(response *concordatv1.RequestReleaseResponse) string {
	switch response.GetOutcome().(type) {
	case *concordatv1.RequestReleaseResponse_Released:
		return "released"
	case *concordatv1.RequestReleaseResponse_NotCovered:
		return "not-covered"
	case *concordatv1.RequestReleaseResponse_Open:
		return "open"
	}
	return ""
}

func commitment(salt, content []byte) []byte {
	hash := sha256.Sum256(append(bytes.Clone(salt), content...))
	return hash[:]
}
