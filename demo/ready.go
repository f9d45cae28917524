package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"
)

// deadline is what one service has for its round trip.
const deadline = 2 * time.Second

// readiness is the answer of /ready.
type readiness struct {
	Ready bool `json:"ready"`
	// Failing names the services that failed.
	Failing []string `json:"failing,omitempty"`
	Checks  []check  `json:"checks"`
}

// check is the outcome for one service.
type check struct {
	Service string `json:"service"`
	Kind    string `json:"kind"`
	OK      bool   `json:"ok"`
	// Reason of a failure. It holds no secret.
	Reason string `json:"reason,omitempty"`
	// Trip is what was written and read; nil where nothing came back.
	Trip *trip `json:"trip,omitempty"`
	// RoundTripMS is in milliseconds.
	RoundTripMS float64 `json:"round_trip_ms"`
}

// checkAll proves every service at the same time; the answer takes no longer than the deadline.
func checkAll(ctx context.Context, backends []backend) readiness {
	answer := readiness{Ready: true, Checks: make([]check, len(backends))}
	var group sync.WaitGroup
	for index, backend := range backends {
		group.Go(func() { answer.Checks[index] = checkOne(ctx, backend) })
	}
	group.Wait()
	for _, check := range answer.Checks {
		if !check.OK {
			answer.Ready = false
			answer.Failing = append(answer.Failing, check.Service)
		}
	}
	return answer
}

func checkOne(ctx context.Context, service backend) check {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	type outcome struct {
		trip trip
		err  error
	}
	// Not every wait inside a client library ends with the context, so the answer doesn't wait for it.
	outcomes := make(chan outcome, 1)
	nonce, started := rand.Text(), time.Now()
	go func() {
		done, err := service.roundTrip(ctx, nonce)
		outcomes <- outcome{done, err}
	}()
	result := check{Service: service.name(), Kind: service.kind()}
	select {
	case <-ctx.Done():
		result.Reason = fmt.Sprintf("no answer within %s", deadline)
	case came := <-outcomes:
		switch {
		case came.err != nil:
			result.Reason = service.hide(oneLine(came.err))
		case came.trip.Read != came.trip.Written:
			result.Reason = "what came back is not what was written"
			result.Trip = &came.trip
		default:
			result.OK = true
			result.Trip = &came.trip
		}
	}
	result.RoundTripMS = float64(time.Since(started).Microseconds()) / 1000
	return result
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
