package oracle

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// Protocol is how a statement is sent.
type Protocol int

// The ways to send a statement.
const (
	Simple Protocol = iota
	Extended
	Binary // extended, with results and parameters in binary where the type allows
)

// String names the protocol.
func (p Protocol) String() string { return [...]string{"simple", "extended", "binary"}[p] }

// Step is one text that is sent, with its parameters for the extended protocol.
type Step struct {
	Text   string
	Params []*string // in text; nil is NULL
	Types  []uint32  // the types that Parse says; 0 leaves one to the server
	Copy   []byte    // what a COPY FROM STDIN reads, in the simple protocol
}

// exchangeLimit bounds one exchange with a server: past it, the server has hung.
const exchangeLimit = 60 * time.Second

// Conn is a raw connection to a server or a proxy. It is used by one goroutine at a time; its owner closes it.
type Conn struct {
	conn net.Conn
	fe   *pgproto3.Frontend
	// queued are the replies, up to and with ReadyForQuery, that are awaited.
	queued int
}

// Dial connects and gets past start-up.
func Dial(ctx context.Context, dsn string) (*Conn, error) {
	c, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, err
	}
	return &Conn{conn: h.Conn, fe: h.Frontend}, nil
}

// Close says goodbye and closes the socket.
func (c *Conn) Close() error {
	if err := c.conn.SetDeadline(time.Now().Add(exchangeLimit)); err != nil { // that of the last exchange may be over
		return errors.Join(err, c.conn.Close())
	}
	c.fe.Send(&pgproto3.Terminate{})
	if err := c.fe.Flush(); err != nil {
		return errors.Join(fmt.Errorf("ending a session: %w", err), c.conn.Close())
	}
	return c.conn.Close()
}

// Query queues a text in the simple protocol.
func (c *Conn) Query(text string) {
	c.fe.SendQuery(&pgproto3.Query{String: text})
	c.queued++
}

// Send queues a step. types are the parameters' types as the server found them, for Binary.
func (c *Conn) Send(s Step, p Protocol, types []uint32) {
	if p == Simple {
		c.Query(s.Text)
		if s.Copy != nil { // a server that is not at a COPY, after an error, leaves these unread
			c.fe.Send(&pgproto3.CopyData{Data: s.Copy})
			c.fe.Send(&pgproto3.CopyDone{})
		}
		return
	}
	bind := &pgproto3.Bind{}
	for i, v := range s.Params {
		var b []byte
		var format int16
		switch {
		case v == nil:
		case p == Binary && i < len(types):
			b, format = binaryOf(*v, types[i])
		default:
			b = []byte(*v)
		}
		bind.Parameters = append(bind.Parameters, b)
		bind.ParameterFormatCodes = append(bind.ParameterFormatCodes, format)
	}
	if p == Binary {
		bind.ResultFormatCodes = []int16{1}
	}
	c.fe.SendParse(&pgproto3.Parse{Query: s.Text, ParameterOIDs: s.Types})
	c.fe.SendDescribe(&pgproto3.Describe{ObjectType: 'S'})
	c.fe.SendBind(bind)
	c.fe.SendDescribe(&pgproto3.Describe{ObjectType: 'P'})
	c.fe.SendExecute(&pgproto3.Execute{})
	c.fe.SendSync(&pgproto3.Sync{})
	c.queued++
}

// Replies sends what is queued and gives the events of each queued exchange, in order.
func (c *Conn) Replies() ([][]Event, error) {
	if err := c.conn.SetDeadline(time.Now().Add(exchangeLimit)); err != nil {
		return nil, err
	}
	if err := c.fe.Flush(); err != nil {
		return nil, err
	}
	var out [][]Event
	var cur []Event
	for c.queued > 0 {
		m, err := c.fe.Receive()
		if err != nil {
			return nil, fmt.Errorf("receiving after %d events of exchange %d: %w", len(cur), len(out), err)
		}
		if _, ok := m.(*pgproto3.ParameterStatus); ok {
			continue
		}
		e := newEvent(m)
		cur = append(cur, e)
		if e.Kind == ReadyForQuery {
			out = append(out, cur)
			cur = nil
			c.queued--
		}
	}
	return out, nil
}

// Describe asks the server for the types of a text's parameters; nil where the text is wrong.
func (c *Conn) Describe(s Step) ([]uint32, error) {
	c.fe.SendParse(&pgproto3.Parse{Query: s.Text, ParameterOIDs: s.Types})
	c.fe.SendDescribe(&pgproto3.Describe{ObjectType: 'S'})
	c.fe.SendSync(&pgproto3.Sync{})
	c.queued++
	replies, err := c.Replies()
	if err != nil {
		return nil, err
	}
	for _, e := range replies[0] {
		if e.Kind == ParameterDescription {
			return e.Types, nil
		}
	}
	return nil, nil
}

// binaryOf gives a value in binary where that is easy, else in text, and the format.
func binaryOf(v string, oid uint32) ([]byte, int16) {
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID:
		return []byte(v), 1
	case pgtype.Int4OID:
		if n, err := strconv.ParseInt(v, 10, 32); err == nil {
			return binary.BigEndian.AppendUint32(nil, uint32(n)), 1
		}
	case pgtype.Int8OID:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return binary.BigEndian.AppendUint64(nil, uint64(n)), 1
		}
	}
	return []byte(v), 0
}
