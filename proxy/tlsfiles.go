package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// systemRoots is the name that stands for the roots that the operating system trusts, as libpq's sslrootcert=system does.
const systemRoots = "system"

// tlsFiles are the files that one side of TLS is made of. They are looked at for each handshake and read again when one of them has changed, so that
// certificates are renewed without a restart and without a signal. While they cannot be read, or do not fit each other (a certificate that is replaced before its key), what
// was read last stays in use.
type tlsFiles struct {
	cert, key string // "": no certificate
	roots     string // "": no roots; systemRoots
	log       *zap.Logger

	mu     sync.Mutex
	seen   []stamp // of the files as they were read, or as they could not be
	loaded *tlsMaterial
}

// tlsMaterial is what the files hold. It is not changed once it is made.
type tlsMaterial struct {
	cert  *tls.Certificate // nil: none
	roots *x509.CertPool   // nil: none, or the system's
}

// stamp tells versions of a file apart.
type stamp struct {
	modified time.Time
	size     int64
	inode    uint64
	err      string
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{err: err.Error()}
	}
	s := stamp{modified: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

// open reads the files for the first time.
func (f *tlsFiles) open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = f.stamps()
	var err error
	f.loaded, err = f.load()
	return err
}

// current gives what the files hold now.
func (f *tlsFiles) current() *tlsMaterial {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.stamps()
	for i := range now {
		if now[i] == f.seen[i] {
			continue
		}
		f.seen = now
		if loaded, err := f.load(); err != nil {
			f.log.Error("the files of TLS have changed and cannot be used; what was read before stays in use", zap.Error(err))
		} else {
			f.loaded = loaded
			f.log.Info("the files of TLS were read again", zap.String("cert", f.cert), zap.String("roots", f.roots))
		}
		break
	}
	return f.loaded
}

func (f *tlsFiles) stamps() []stamp {
	stamps := make([]stamp, 0, 3)
	for _, path := range []string{f.cert, f.key, f.roots} {
		if path != "" && path != systemRoots {
			stamps = append(stamps, stampOf(path))
		}
	}
	return stamps
}

func (f *tlsFiles) load() (*tlsMaterial, error) {
	m := &tlsMaterial{}
	if f.cert != "" {
		if err := private(f.key); err != nil {
			return nil, err
		}
		cert, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate %s with its key %s: %w", f.cert, f.key, err)
		}
		m.cert = &cert
	}
	if f.roots != "" && f.roots != systemRoots {
		pem, err := os.ReadFile(f.roots)
		if err != nil {
			return nil, fmt.Errorf("reading root certificates: %w", err)
		}
		m.roots = x509.NewCertPool()
		if !m.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading root certificates: there is none in PEM form in %s", f.roots)
		}
	}
	return m, nil
}

// private says whether a key's file is closed to others, by the rule of PostgreSQL and libpq: nobody but its owner has access, or, where root owns it, its
// group may read it.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading a private key: %w", err)
	}
	open := fs.FileMode(0o077)
	if sys, ok := info.Sys().(*syscall.Stat_t); ok && sys.Uid == 0 {
		open = 0o037
	}
	if info.Mode().Perm()&open != 0 {
		return errors.New("the private key " + path + " can be read by others: chmod 0600 it (0640 where root owns it)")
	}
	return nil
}
