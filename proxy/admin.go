package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"segue/rewrite/lens"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// Request is the body of POST /v1/migrations/NAME/...; each action takes the fields that mean something to it.
type Request struct {
	To        *lens.Phase   `json:"to,omitempty"`        // advance, rollback
	MaxWait   lens.Duration `json:"max_wait,omitzero"`   // advance, rollback
	Terminate bool          `json:"terminate,omitempty"` // advance, rollback
	Yes       bool          `json:"yes,omitempty"`       // advance
	Unproved  bool          `json:"unproved,omitempty"`  // advance
	QuietFor  lens.Duration `json:"quiet_for,omitzero"`  // retire
	Wait      bool          `json:"wait,omitempty"`      // retire
	Repair    bool          `json:"repair,omitempty"`    // verify
	// OldQuietFor is how long old code must have been quiet before complete takes away what it reads; absent: 24h.
	OldQuietFor *lens.Duration `json:"old_quiet_for,omitempty"` // advance
}

// RunRequest is the body of POST /v1/run.
type RunRequest struct {
	Definition lens.Definition `json:"definition"`
	Request
}

// ErrorAnswer is the body of every answer that is an error.
type ErrorAnswer struct {
	Error   string   `json:"error"`
	Gate    string   `json:"gate,omitempty"`    // the phase whose gate refuses
	Missing []string `json:"missing,omitempty"` // what is missing for it
	Busy    bool     `json:"busy,omitempty"`    // another request is at work
}

// adminHandler answers on the admin socket. What is asked for is checked at once; the work goes on after the answer (202), and is followed
// through status.
func (p *Proxy) adminHandler() http.Handler {
	mux := http.NewServeMux()
	control := p.control
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		status, err := control.Status(r.Context())
		if err != nil {
			p.answerError(w, r, err)
			return
		}
		p.answer(w, r, http.StatusOK, status)
	})
	mux.HandleFunc("POST /v1/explain", func(w http.ResponseWriter, r *http.Request) {
		req := ExplainRequest{Version: p.live.Load().Version}
		err := decodeBody(r, &req, maxExplainBody)
		var e *Explanation
		if err == nil {
			if req.ServerMajor == 0 {
				req.ServerMajor = p.hub.serverMajor()
			}
			e, err = Explain(p.hub.current(), req)
		}
		if err != nil {
			p.answerError(w, r, err)
			return
		}
		p.answer(w, r, http.StatusOK, e)
	})
	mux.HandleFunc("POST /v1/check", func(w http.ResponseWriter, r *http.Request) {
		var def lens.Definition
		err := decodeBody(r, &def, maxBody)
		var report json.RawMessage
		if err == nil {
			report, err = control.Check(r.Context(), &def)
		}
		if err != nil {
			p.answerError(w, r, err)
			return
		}
		p.answer(w, r, http.StatusOK, report)
	})
	mux.HandleFunc("POST /v1/migrations", func(w http.ResponseWriter, r *http.Request) {
		var def lens.Definition
		err := decodeBody(r, &def, maxBody)
		if err == nil && p.opt.CheckDefinition != nil {
			if err = p.opt.CheckDefinition(&def); err != nil {
				err = invalid{err}
			}
		}
		if err == nil {
			var opt StartOptions
			if opt, err = startOptions(r); err == nil {
				err = control.Start(r.Context(), &def, opt)
			}
		}
		p.accepted(w, r, def.Name, err)
	})
	mux.HandleFunc("POST /v1/run", func(w http.ResponseWriter, r *http.Request) {
		var req RunRequest
		err := decodeBody(r, &req, maxBody)
		if err == nil && p.opt.CheckDefinition != nil {
			if err = p.opt.CheckDefinition(&req.Definition); err != nil {
				err = invalid{err}
			}
		}
		if err == nil {
			err = control.Carry(r.Context(), &req.Definition, req.options())
		}
		p.accepted(w, r, req.Definition.Name, err)
	})
	mux.HandleFunc("POST /v1/migrations/{name}/backfill", func(w http.ResponseWriter, r *http.Request) {
		var opt BackfillOptions
		err := decodeBody(r, &opt, maxBody)
		var answer json.RawMessage
		if err == nil {
			answer, err = control.Backfill(r.Context(), r.PathValue("name"), opt)
		}
		if err != nil {
			p.answerError(w, r, err)
			return
		}
		p.answer(w, r, http.StatusOK, answer)
	})
	for action, do := range map[string]func(ctx context.Context, name string, req *Request) error{
		"advance": func(ctx context.Context, name string, req *Request) error {
			return control.Advance(ctx, name, req.options())
		},
		"rollback": func(ctx context.Context, name string, req *Request) error {
			return control.Rollback(ctx, name, req.options())
		},
		"retire": func(ctx context.Context, name string, req *Request) error {
			return control.Retire(ctx, name, RetireOptions{QuietFor: time.Duration(req.QuietFor), Wait: req.Wait, MaxWait: time.Duration(req.MaxWait), Terminate: req.Terminate})
		},
		"drop": func(ctx context.Context, name string, _ *Request) error { return control.Drop(ctx, name) },
		"verify": func(ctx context.Context, name string, req *Request) error {
			return control.Verify(ctx, name, req.Repair)
		},
	} {
		mux.HandleFunc("POST /v1/migrations/{name}/"+action, func(w http.ResponseWriter, r *http.Request) {
			var req Request
			name := r.PathValue("name")
			err := decodeBody(r, &req, maxBody)
			if err == nil {
				err = do(r.Context(), name, &req)
			}
			p.accepted(w, r, name, err)
		})
	}
	mux.HandleFunc("POST /v1/takeover", p.handOver)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.answer(w, r, http.StatusNotFound, ErrorAnswer{Error: fmt.Sprintf("there is no %s %s here; see GET /v1/status, POST /v1/migrations, "+
			"POST /v1/migrations/NAME/{advance,rollback,retire,drop,verify,backfill}, POST /v1/explain, POST /v1/check, POST /v1/run", r.Method, r.URL.Path)})
	})
	return withAccess(withOnBusy(mux, p), p)
}

// withOnBusy reads what a request says to do where another one is at work: ?if_busy=wait or fail.
func withOnBusy(next http.Handler, p *Proxy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		busy, err := ParseOnBusy(r.URL.Query().Get("if_busy"))
		if err != nil {
			p.answerError(w, r, invalid{fmt.Errorf("if_busy: %w", err)})
			return
		}
		next.ServeHTTP(w, r.WithContext(WithOnBusy(r.Context(), busy)))
	})
}

// startOptions reads ?max_wait=30s and ?terminate=true, since a start's body is the definition.
func startOptions(r *http.Request) (opt StartOptions, err error) {
	q := r.URL.Query()
	if text := q.Get("max_wait"); text != "" {
		if opt.MaxWait, err = time.ParseDuration(text); err != nil || opt.MaxWait < 0 {
			return opt, invalid{fmt.Errorf("max_wait: %q is no time to wait for: write 30s, or 5m", text)}
		}
	}
	if text := q.Get("terminate"); text != "" {
		if opt.Terminate, err = strconv.ParseBool(text); err != nil {
			return opt, invalid{fmt.Errorf("terminate: %q is neither true nor false", text)}
		}
	}
	return opt, nil
}

func (r *Request) options() AdvanceOptions {
	return AdvanceOptions{To: r.To, MaxWait: time.Duration(r.MaxWait), Terminate: r.Terminate, Yes: r.Yes, Unproved: r.Unproved, QuietFor: (*time.Duration)(r.OldQuietFor)}
}

// invalid marks an error as the client's fault.
type invalid struct{ error }

func (e invalid) Unwrap() []error { return []error{e.error, ErrInvalid} }

// decodeBody reads a JSON body; an empty one leaves v as it is.
func decodeBody(r *http.Request, v any, limit int64) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, limit))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("there is something after it")
	}
	return invalid{fmt.Errorf("the body is no JSON that is understood: %w", err)}
}

func (p *Proxy) accepted(w http.ResponseWriter, r *http.Request, name string, err error) {
	if err != nil {
		p.answerError(w, r, err)
		return
	}
	p.answer(w, r, http.StatusAccepted, map[string]string{"migration": name, "follow": "/v1/status"})
}

func (p *Proxy) answerError(w http.ResponseWriter, r *http.Request, err error) {
	body := ErrorAnswer{Error: err.Error()}
	status := http.StatusInternalServerError
	var gate *GateError
	var busy *BusyError
	switch {
	case errors.As(err, &busy):
		status, body.Busy = http.StatusConflict, true
	case errors.As(err, &gate):
		status, body.Gate, body.Missing = http.StatusConflict, gate.Gate, gate.Missing
	case errors.Is(err, ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, ErrInvalid):
		status = http.StatusBadRequest
	}
	p.answer(w, r, status, body)
}

func (p *Proxy) answer(w http.ResponseWriter, r *http.Request, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		p.log.Warn("answering on the admin socket failed", zap.String("path", r.URL.Path), zap.Error(err))
	}
}
