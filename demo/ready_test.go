package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReadyWithoutServices(t *testing.T) {
	code, answer := askReady(t)
	if code != http.StatusOK || !answer.Ready || len(answer.Checks) != 0 {
		t.Errorf("%d %+v", code, answer)
	}
}

func TestReadyTellsWhatEachServiceGaveBack(t *testing.T) {
	code, answer := askReady(t, &fake{called: "one"}, &fake{called: "two"})
	if code != http.StatusOK || len(answer.Checks) != 2 {
		t.Fatalf("%d %+v", code, answer)
	}
	one, two := answer.Checks[0], answer.Checks[1]
	if one.Service != "one" || two.Service != "two" || !one.OK || one.Trip.Read.Nonce == "" {
		t.Errorf("%+v", answer.Checks)
	}
	if one.Trip.Written.Nonce == two.Trip.Written.Nonce {
		t.Error("two services were given the same nonce")
	}
}

func TestReadyNamesTheServiceThatFails(t *testing.T) {
	refused := &fake{called: "bad", secret: "hunter2", trip: func(context.Context, string) (trip, error) {
		return trip{}, errors.New("login with hunter2\n\trefused")
	}}
	code, answer := askReady(t, &fake{called: "good"}, refused)
	if code != http.StatusServiceUnavailable || answer.Ready || !slices.Equal(answer.Failing, []string{"bad"}) {
		t.Fatalf("%d %+v", code, answer)
	}
	if reason := answer.Checks[1].Reason; reason != "login with (secret) refused" {
		t.Errorf("reason %q", reason)
	}
	if !answer.Checks[0].OK {
		t.Error("the other service is said to fail too")
	}
}

func TestReadyRefusesWhatWasNotWritten(t *testing.T) {
	stale := &fake{called: "stale", trip: func(_ context.Context, nonce string) (trip, error) {
		return trip{"row", value{nonce, 2}, value{nonce, 1}}, nil
	}}
	if code, answer := askReady(t, stale); code != http.StatusServiceUnavailable {
		t.Errorf("%d %+v", code, answer)
	}
}

func TestReadyWaitsForNobodyBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := func(context.Context, string) (trip, error) {
			time.Sleep(time.Hour)
			return trip{}, nil
		}
		started := time.Now()
		answer := checkAll(context.Background(), []backend{&fake{called: "a", trip: deaf}, &fake{called: "b", trip: deaf}})
		if taken := time.Since(started); taken != deadline {
			t.Errorf("took %s", taken)
		}
		if answer.Ready || answer.Checks[0].Reason != "no answer within 2s" {
			t.Errorf("%+v", answer)
		}
		time.Sleep(2 * time.Hour) // by the test's own clock, so that the deaf ones end too
	})
}

func TestPasswordIsStruckOut(t *testing.T) {
	files := newAuthority(t).issue(t, t.TempDir(), "api")
	must(t, os.WriteFile(files.passwordFile, []byte("correct horse\n"), 0o600))
	if got := files.hide("user api, correct horse, no"); got != "user api, (secret), no" {
		t.Error(got)
	}
}

func askReady(t *testing.T, backends ...backend) (int, readiness) {
	t.Helper()
	recorder := httptest.NewRecorder()
	app := newApp(context.Background(), ownSettings{}, backends, silent)
	app.handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/ready", nil))
	var answer readiness
	must(t, json.Unmarshal(recorder.Body.Bytes(), &answer))
	for _, check := range answer.Checks {
		series := `demo_service_up{kind="fake",service="` + check.Service + `"} `
		want := map[bool]string{true: series + "1", false: series + "0"}[check.OK]
		if scraped := scrape(app); !strings.Contains(scraped, want) {
			t.Errorf("%q is not among the metrics", want)
		}
	}
	return recorder.Code, answer
}

func scrape(app *app) string {
	recorder := httptest.NewRecorder()
	app.handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	return recorder.Body.String()
}
