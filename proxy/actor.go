package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

type actorKey struct{}

// WithActor gives a request's context who asks, for the history. It holds for all that is done because of it.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorOf reads who asks; "" where nobody does.
func ActorOf(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)
	return actor
}

// withPeer notes who is at the other end of a connection to the admin socket, and whether he may use it. The kernel tells (SO_PEERCRED), so nobody can claim to be another
// one; what it tells is of the moment at which the connection was made. Of whom it tells nothing is refused.
func (s *socket) withPeer(ctx context.Context, conn net.Conn) context.Context {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return refusing(ctx, errors.New("it cannot be told who asks"))
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return refusing(ctx, fmt.Errorf("it cannot be told who asks: %w", err))
	}
	var cred *unix.Ucred
	var groups []uint32
	failed := raw.Control(func(fd uintptr) {
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			groups, err = peerGroups(int(fd))
		}
	})
	if err := errors.Join(failed, err); err != nil {
		return refusing(ctx, fmt.Errorf("it cannot be told who asks: %w", err))
	}
	if err := mayAdmin(cred, groups, s.gid, s.mode); err != nil {
		return refusing(ctx, err)
	}
	return WithActor(context.WithValue(ctx, uidKey{}, cred.Uid), peer(cred))
}

// peer is for people: "app (uid 1000, pid 4711)".
func peer(cred *unix.Ucred) string {
	ids := fmt.Sprintf("uid %d, pid %d", cred.Uid, cred.Pid)
	u, err := user.LookupId(strconv.FormatUint(uint64(cred.Uid), 10))
	if err != nil {
		return ids // a container need not know its users' names
	}
	return fmt.Sprintf("%s (%s)", u.Username, ids)
}
