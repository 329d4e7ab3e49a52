// Loaded into litepull by tests: the system's resolver never comes back.
#include <netdb.h>
#include <unistd.h>

extern "C" int getaddrinfo(const char*, const char*, const struct addrinfo*, struct addrinfo**) {
  for (;;) ::pause();
}
