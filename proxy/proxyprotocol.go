package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Trusted are the addresses whose connections begin with a PROXY protocol header, as load balancers write it (versions 1 and 2 of HAProxy's specification). From any other address none is looked for: who is not trusted cannot
// say that it is another one.
type Trusted struct {
	Networks []netip.Prefix
	Unix     bool // whoever connects by a unix socket
}

// trusts says whether a peer must send a header.
func (t Trusted) trusts(peer net.Addr) bool {
	switch a := peer.(type) {
	case *net.UnixAddr:
		return t.Unix
	case *net.TCPAddr:
		ip := a.AddrPort().Addr().Unmap()
		for _, n := range t.Networks {
			if n.Contains(ip) {
				return true
			}
		}
	}
	return false
}

// identify reads the header of a client that comes through a load balancer, and has the log name the client instead. It is false where there is none to carry.
func (c *conn) identify(t Trusted, patience time.Duration) bool {
	if !t.trusts(c.client.RemoteAddr()) {
		return true
	}
	if patience == 0 {
		patience = startupTimeout
	}
	c.deadline(time.Now().Add(patience))
	from, err := readProxyHeader(c.client)
	switch {
	case errors.Is(err, io.EOF):
		return false // a look whether the port is open, as balancers take
	case err != nil:
		c.hub.counters.refused.Add(1)
		c.log.Warn("a connection from an address in proxy_protocol_networks does not begin with a PROXY protocol header that is understood", zap.Error(err))
		return false
	case from != "":
		c.log = c.hub.log.WithLazy(zap.String("client", from), zap.Stringer("through", c.client.RemoteAddr()))
	}
	return true
}

// proxySignature is what version 2 begins with.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// maxProxyLine is the length of the longest header of version 1, in bytes.
const maxProxyLine = 107

// readProxyHeader reads a header and no byte more, and gives the address that it names: "" where it names none, such as for the balancer's own connections. io.EOF says that nothing came.
func readProxyHeader(r io.Reader) (from string, err error) {
	begin := make([]byte, len(proxySignature), maxProxyLine) // no header is shorter
	if n, err := io.ReadFull(r, begin); err != nil {
		if n == 0 {
			return "", err
		}
		return "", fmt.Errorf("it ends after %d bytes: %w", n, err)
	}
	switch {
	case string(begin) == proxySignature:
		return readProxyBinary(r)
	case bytes.HasPrefix(begin, []byte("PROXY ")):
		return readProxyLine(r, begin)
	}
	return "", errors.New("it begins with something else")
}

// readProxyLine reads a header of version 1, of which line is the beginning. It is read byte by byte, since it does not say how long it is, and what is behind it is not its own.
func readProxyLine(r io.Reader, line []byte) (string, error) {
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == maxProxyLine {
			return "", fmt.Errorf("its line does not end within %d bytes", maxProxyLine)
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return "", fmt.Errorf("it ends in its line: %w", err)
		}
	}
	words := strings.Split(string(line[:len(line)-2]), " ")
	if words[1] == "UNKNOWN" {
		return "", nil // what follows is to be ignored
	}
	bad := fmt.Errorf("%q is no header of version 1", line)
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return "", bad
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(words[2+i])
		if err != nil || addr.Is4() != (words[1] == "TCP4") || addr.Zone() != "" {
			return "", bad
		}
		port, err := strconv.ParseUint(words[4+i], 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != words[4+i] {
			return "", bad
		}
		ends[i] = netip.AddrPortFrom(addr, uint16(port))
	}
	return ends[0].String(), nil
}

// The kinds of address of version 2, with their length for both ends, in bytes.
const (
	proxyTCP4, proxyTCP4Size = 0x11, 12
	proxyTCP6, proxyTCP6Size = 0x21, 36
	proxyUnix, proxyUnixSize = 0x31, 216
	proxyNone                = 0x00
)

// readProxyBinary reads a header of version 2 behind its signature. What it says beside the addresses is not kept, however long it is.
func readProxyBinary(r io.Reader) (string, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", fmt.Errorf("it ends in its head: %w", err)
	}
	const version, local, proxied = 0x20, 0x0, 0x1
	size := int(binary.BigEndian.Uint16(head[2:]))
	command := head[0] & 0x0f
	if head[0]&0xf0 != version || command != local && command != proxied {
		return "", fmt.Errorf("version and command %#x are not known", head[0])
	}
	var addrs [proxyUnixSize]byte
	want := 0
	if command == proxied {
		switch head[1] {
		case proxyTCP4:
			want = proxyTCP4Size
		case proxyTCP6:
			want = proxyTCP6Size
		case proxyUnix:
			want = proxyUnixSize
		case proxyNone:
		default:
			return "", fmt.Errorf("the kind of address %#x is not known for a stream", head[1])
		}
	}
	if size < want {
		return "", fmt.Errorf("its addresses have %d bytes; there must be %d", size, want)
	}
	if _, err := io.ReadFull(r, addrs[:want]); err != nil {
		return "", fmt.Errorf("it ends in its addresses: %w", err)
	}
	if _, err := io.CopyN(io.Discard, r, int64(size-want)); err != nil {
		return "", fmt.Errorf("it ends in what it says beside the addresses: %w", err)
	}
	switch want {
	case proxyTCP4Size:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addrs[:4])), binary.BigEndian.Uint16(addrs[8:])).String(), nil
	case proxyTCP6Size:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(addrs[:16])), binary.BigEndian.Uint16(addrs[32:])).String(), nil
	case proxyUnixSize:
		path, _, _ := bytes.Cut(addrs[:108], []byte{0})
		return "unix:" + strings.ToValidUTF8(string(path), "?"), nil
	}
	return "", nil
}
