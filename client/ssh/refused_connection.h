// Explains why a host accepted a connection and closed it again before any SSH was spoken.
#pragma once

#include <string>

namespace litepull {

// The first line of what has arrived on `socket` and was not read yet, safe to print. Empty when nothing has
// arrived. Reads nothing from the socket and does not wait.
std::string waiting_words(int socket);

struct Refusal {
  std::string message, hint;
};

// `first_words` is what the host said before it closed the connection; may be empty.
Refusal refusal_of(const std::string& first_words);

}  // namespace litepull
