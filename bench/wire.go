package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// wire is a client that speaks the protocol itself, so that what a driver does costs the measurement nothing. It knows servers that trust it.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	head [5]byte
	out  []byte // reused
	row  []byte // the last DataRow's body, where keep is set
	keep bool
	rows int64 // DataRows of the last answer
}

// dial connects and waits for the first ReadyForQuery. buffer is the size of what is read at a time, in bytes.
func dial(ctx context.Context, addr, database string, buffer int) (*wire, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &wire{conn: conn, r: bufio.NewReaderSize(conn, buffer)}
	body := "\x00\x03\x00\x00user\x00" + loadRole + "\x00database\x00" + database + "\x00\x00"
	packet := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
	if _, err := conn.Write(append(packet, body...)); err != nil {
		return nil, closing(conn, err)
	}
	if err := c.ready(); err != nil {
		return nil, closing(conn, err)
	}
	return c, nil
}

func closing(c io.Closer, err error) error {
	_ = c.Close() // the error is the other one
	return err
}

// message appends a message of that type and body to what flush sends.
func (c *wire) message(typ byte, body ...string) *wire {
	n := 4
	for _, b := range body {
		n += len(b)
	}
	c.out = binary.BigEndian.AppendUint32(append(c.out, typ), uint32(n))
	for _, b := range body {
		c.out = append(c.out, b...)
	}
	return c
}

func (c *wire) flush() error {
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// simple runs a Query and drops what it gives.
func (c *wire) simple(sql string) error {
	if err := c.message('Q', sql, "\x00").flush(); err != nil {
		return err
	}
	return c.ready()
}

// prepare makes a named statement.
func (c *wire) prepare(name, sql string) error {
	if err := c.message('P', name, "\x00", sql, "\x00\x00\x00").message('S').flush(); err != nil {
		return err
	}
	return c.ready()
}

// execute runs a prepared statement with values as text.
func (c *wire) execute(name string, values ...string) error {
	var b strings.Builder
	b.WriteString("\x00" + name + "\x00\x00\x00")
	count := func(n, bytes int) {
		for i := bytes - 1; i >= 0; i-- {
			b.WriteByte(byte(n >> (8 * i)))
		}
	}
	count(len(values), 2)
	for _, v := range values {
		count(len(v), 4)
		b.WriteString(v)
	}
	b.WriteString("\x00\x00")
	if err := c.message('B', b.String()).message('E', "\x00\x00\x00\x00\x00").message('S').flush(); err != nil {
		return err
	}
	return c.ready()
}

// next reads a message's header.
func (c *wire) next() (typ byte, n int, err error) {
	if _, err := io.ReadFull(c.r, c.head[:]); err != nil {
		return 0, 0, fmt.Errorf("reading a message: %w", err)
	}
	return c.head[0], int(binary.BigEndian.Uint32(c.head[1:])) - 4, nil
}

// ready reads up to ReadyForQuery, and gives the server's error where there was one.
func (c *wire) ready() error {
	c.rows = 0
	var failed error
	for {
		typ, n, err := c.next()
		if err != nil {
			return err
		}
		if typ == 'E' || typ == 'D' && c.keep {
			body := make([]byte, n)
			if _, err := io.ReadFull(c.r, body); err != nil {
				return err
			}
			if typ == 'E' {
				failed = fmt.Errorf("the server's error: %s", strings.ReplaceAll(string(body), "\x00", " "))
			}
			c.row, c.rows = body, c.rows+1
			continue
		}
		if _, err := c.r.Discard(n); err != nil {
			return err
		}
		switch typ {
		case 'D':
			c.rows++
		case 'Z':
			return failed
		}
	}
}

// copyFrom runs a COPY FROM STDIN and sends data in pieces of frame bytes.
func (c *wire) copyFrom(sql string, data []byte, frame int) error {
	if err := c.message('Q', sql, "\x00").flush(); err != nil {
		return err
	}
	for {
		typ, n, err := c.next()
		if err != nil {
			return err
		}
		if typ == 'E' {
			body := make([]byte, n)
			_, err := io.ReadFull(c.r, body)
			return fmt.Errorf("%s: %s %w", sql, body, err)
		}
		if _, err := c.r.Discard(n); err != nil {
			return err
		}
		if typ == 'G' {
			break
		}
	}
	var head [5]byte
	head[0] = 'd'
	for len(data) > 0 {
		n := min(frame, len(data))
		binary.BigEndian.PutUint32(head[1:], uint32(4+n))
		piece := net.Buffers{head[:], data[:n]}
		if _, err := piece.WriteTo(c.conn); err != nil {
			return err
		}
		data = data[n:]
	}
	if err := c.message('c').flush(); err != nil {
		return err
	}
	return c.ready()
}

// bye ends the session and waits until the other side has.
func (c *wire) bye() error {
	if err := c.message('X').flush(); err != nil {
		return closing(c.conn, err)
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return closing(c.conn, err)
	}
	for {
		if _, err := c.conn.Read(c.head[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return closing(c.conn, fmt.Errorf("waiting for the end of a session: %w", err))
		}
	}
	return c.conn.Close()
}
