/* Preloaded into osmo-msc, which wants SCTP for its radio side and does not start without it: a kernel without SCTP gives it
 * a TCP socket instead. Nothing connects there; its SMPP side is TCP anyway. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol)
{
	int (*real)(int, int, int) = dlsym(RTLD_NEXT, "socket");
	if (protocol == IPPROTO_SCTP) {
		/* The kinds are the low four bits; above them are SOCK_NONBLOCK and SOCK_CLOEXEC. */
		type = (type & ~0xf) | SOCK_STREAM;
		protocol = 0;
	}
	return real(domain, type, protocol);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	int (*real)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
	return level == IPPROTO_SCTP ? 0 : real(fd, level, name, value, length);
}
