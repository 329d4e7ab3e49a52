// What it means that a host took a connection and closed it again before any SSH was spoken.
#pragma once

#include <string>

namespace litepull {

// What has come over `socket` and was not read yet, its first line, safe to print; empty as long as nothing
// has. Nothing is taken out of the socket, and nothing is waited for.
std::string waiting_words(int socket);

struct Refusal {
  std::string message, hint;
};

// `first_words` is what the host said before it closed the connection; may be empty.
Refusal refusal_of(const std::string& first_words);

}  // namespace litepull
