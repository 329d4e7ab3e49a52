// The addresses of a host. The system's resolver may wait for a name server longer than anybody wants to, and
// nothing ends its wait: so a thread waits for it, which is left behind when the time is up.
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
  std::string why;        // then, for people
};

// For TCP. Where the name server has no answer for the moment, it is asked again as long as there is time.
// Throws Error{kCancelled}.
Resolved resolve(const std::string& host, std::uint16_t port, int timeout_s, const Cancel& cancel);

}  // namespace litepull
