// The addresses of a host. The system's resolver may wait a long time for a name server, and nothing can end
// that wait. So a thread calls it, and is left behind when the time is up.
#pragma once

#include <netdb.h>

#include <cstdint>
#include <memory>
#include <string>

#include "client/base/cancel.h"

namespace litepull {

struct AddressDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, AddressDeleter>;

struct Resolved {
  AddressList addresses;  // null when there are none
  std::string why;        // the reason then, for people
};

// For TCP. Asks again while there is time when the name server has no answer for the moment.
// Throws Error{kCancelled}.
Resolved resolve(const std::string& host, std::uint16_t port, int timeout_s, const Cancel& cancel);

}  // namespace litepull
