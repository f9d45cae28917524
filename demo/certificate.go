package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// serverCertificate is the server's side of TLS. It follows its files: once they change, new connections get the new
// certificate, and while what they hold doesn't fit together, the one before.
type serverCertificate struct {
	files  identity
	mutual bool
	log    *slog.Logger

	lock   sync.Mutex
	seen   [3]stamp
	loaded *tls.Config
}

// stamp tells versions of a file apart.
type stamp struct {
	modified time.Time
	size     int64
}

// newServerCertificate fails where the files can't be used to begin with.
func newServerCertificate(files identity, mutual bool, log *slog.Logger) (*serverCertificate, error) {
	server := &serverCertificate{files: files, mutual: mutual, log: log}
	server.seen = server.stamps()
	var err error
	server.loaded, err = server.load()
	return server, err
}

// config is for a server; it decides anew for each connection.
func (s *serverCertificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: s.loaded.NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current(), nil
		},
	}
}

func (s *serverCertificate) current() *tls.Config {
	s.lock.Lock()
	defer s.lock.Unlock()
	// Taken before the files are read: a change in between is seen the next time.
	stamps := s.stamps()
	if stamps == s.seen {
		return s.loaded
	}
	s.seen = stamps
	loaded, err := s.load()
	if err != nil {
		s.log.Warn("new certificate not usable, keeping the one before", "error", err.Error())
		return s.loaded
	}
	s.log.Info("certificate read anew", "file", s.files.certFile)
	s.loaded = loaded
	return loaded
}

func (s *serverCertificate) load() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(s.files.certFile, s.files.keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", s.files.certFile, s.files.keyFile, err)
	}
	authority, err := s.files.authority()
	if err != nil {
		return nil, err
	}
	required := tls.VerifyClientCertIfGiven
	if s.mutual {
		required = tls.RequireAndVerifyClientCert
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   required,
		ClientCAs:    authority,
	}, nil
}

func (s *serverCertificate) stamps() [3]stamp {
	var stamps [3]stamp
	for index, file := range []string{s.files.certFile, s.files.keyFile, s.files.caFile} {
		if info, err := os.Stat(file); err == nil {
			stamps[index] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}
