package keel_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"keel"
)

func TestAnErrorHasItsStatusAndItsSentence(t *testing.T) {
	_, err := keel.NewRuntime(`{"learner_thread": 1}`)
	message := refused(t, err, keel.ErrConfig)
	if !strings.HasPrefix(message, "/learner_thread") || !strings.Contains(message, "learner_threads") {
		t.Fatal(message)
	}
	equal(t, "Error()", err.Error(), "KEEL_E_CONFIG: "+message)
	if errors.Is(err, keel.ErrData) {
		t.Fatal("it is another status too")
	}
	var status keel.Status
	if !errors.As(err, &status) || status != keel.ErrConfig {
		t.Fatal(status)
	}
	equal(t, "an unknown status", keel.Status(-1).Error(), "KEEL_E_UNKNOWN")
}

func TestALongMessageArrivesWhole(t *testing.T) {
	_, err := keel.ConfigSchema(strings.Repeat("é", 400))
	if message := refused(t, err, keel.ErrInvalidArgument); !strings.Contains(message, "ééé") {
		t.Fatal(message)
	}
	_, err = keel.ConfigSchema("\xff")
	refused(t, err, keel.ErrInvalidText)
}

// Each goroutine fails in one of some ways with its own number in the message, and must read that one.
func TestManyGoroutinesReadTheirOwnMessages(t *testing.T) {
	batch := must(newRuntime(t).NewBatch(keel.BatchRollouts, 2))(t)
	defer batch.Close()
	var group sync.WaitGroup
	var wrong sync.Map
	for number := range goroutines {
		group.Add(1)
		go func() {
			defer group.Done()
			if told := failing(batch, number); told != "" {
				wrong.Store(number, told)
			}
		}()
	}
	group.Wait()
	wrong.Range(func(number, told any) bool {
		t.Errorf("goroutine %v: %v", number, told)
		return false
	})
}

// failing is empty where the error is the caller's own.
func failing(batch *keel.Batch, number int) string {
	own := fmt.Sprintf("number-%d-", number)
	status, err := keel.ErrData, error(nil)
	switch rand.IntN(4) {
	case 0:
		_, err = keel.Get[int32](batch, own)
	case 1:
		status = keel.ErrInvalidArgument
		_, err = keel.ConfigSchema(own)
	case 2:
		status = keel.ErrConfig
		_, err = keel.NewRuntime(fmt.Sprintf("{%q: 1}", own))
	case 3:
		_, err = batch.Text(own)
	}
	if !errors.Is(err, status) || !strings.Contains(err.Error(), own) {
		return fmt.Sprintf("expected %v about %s, got %v", status, own, err)
	}
	return ""
}
