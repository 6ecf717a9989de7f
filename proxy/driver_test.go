package proxy

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	"segue/internal/pgtest"
)

// onDrivers runs a test with each of the drivers. The other tests have the driver that SEGUE_DRIVER names.
func onDrivers(t *testing.T, f func(t *testing.T, driver func(*Options))) {
	for _, d := range []Driver{DriverGoroutine, DriverEpoll} {
		t.Run(string(d), func(t *testing.T) {
			f(t, func(o *Options) { o.Driver = d })
		})
	}
}

// A client that does not take its rows keeps the server waiting: they are not kept for it. Others are carried meanwhile.
func TestSlowClientsKeepTheServerWaiting(t *testing.T) {
	onDrivers(t, testSlowClientsKeepTheServerWaiting)
}

func testSlowClientsKeepTheServerWaiting(t *testing.T, driver func(*Options)) {
	r := start(t, newControl(noMigrations(t)), driver)
	conn := r.raw(t)
	begin := []byte("\x00\x00\x00\x19\x00\x03\x00\x00user\x00postgres\x00\x00")
	begin[3] = byte(len(begin))
	if _, err := conn.Write(begin); err != nil {
		t.Fatal(err)
	}
	end := []byte("Z\x00\x00\x00\x05I")
	var got []byte
	for !bytes.HasSuffix(got, end) {
		var b [1024]byte
		n, err := conn.Read(b[:])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	const rows, width = 60_000, 1000
	ask := []byte("Q\x00\x00\x00\x00SELECT repeat('x', 1000) FROM generate_series(1, 60000)\x00")
	ask[4] = byte(len(ask) - 1)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := conn.Write(ask); err != nil {
		t.Fatal(err)
	}
	other := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	eventually(t, "the server waits", func() bool {
		return query(t, other, "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE 'SELECT repeat%'") == "1"
	})
	runtime.GC()
	runtime.ReadMemStats(&now)
	if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	// All of it comes when it is taken: the row's description, the rows, the end.
	const row = 5 + 2 + 4 + width
	tag := []byte("C\x00\x00\x00\x11SELECT 60000\x00")
	want := int64(5+2+len("repeat")+1+18+rows*row) + int64(len(tag)+len(end))
	if n, err := io.CopyN(io.Discard, conn, want-int64(len(end))); err != nil {
		t.Fatalf("%d of %d bytes came: %v", n, want, err)
	}
	last := make([]byte, len(end))
	if _, err := io.ReadFull(conn, last); err != nil || !bytes.Equal(last, end) {
		t.Errorf("it ends with %q, %v", last, err)
	}
}
