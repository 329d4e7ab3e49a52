#include "client/ssh/refused_connection.h"

#include <sys/socket.h>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {

std::string waiting_words(int socket) {
  char text[256];
  const ssize_t got = retry_eintr([&] { return ::recv(socket, text, sizeof text, MSG_PEEK | MSG_DONTWAIT); });
  std::string words(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  return printable(words.substr(0, words.find_first_of("\r\n")));
}

// sshd gives its reason (MaxStartups, since 9.8 also PerSourcePenalties) in a line, or only in its log. A
// server of another protocol may send a line, too, which begins unlike sshd's.
Refusal refusal_of(const std::string& first_words) {
  const std::string said = first_words.empty() ? "" : "; it said: '" + first_words + "'";
  const bool is_sshd = first_words.empty() || first_words.find("MaxStartups") != std::string::npos ||
                       first_words.find("Not allowed at this time") != std::string::npos ||
                       first_words.starts_with("SSH-");
  if (!is_sshd)
    return {"it closed the connection before any SSH was spoken" + said,
            "check that the port is that of sshd; where it is, that line is sshd's reason"};
  return {
      "it closed the connection at once: too many connections, or a penalty (MaxStartups, "
      "PerSourcePenalties, fail2ban)" +
          said,
      "try again later; if it stays so, look into sshd's log there: journalctl -u ssh"};
}

}  // namespace litepull
