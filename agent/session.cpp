#include "agent/session.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "agent/client_watch.h"
#include "agent/confine.h"
#include "agent/look_session.h"
#include "agent/owner.h"
#include "agent/pull_session.h"
#include "agent/report.h"
#include "agent/restore_session.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {
namespace {

void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// With more than the usual 64 KiB, this process and sshd wait for each other less often. The call fails where
// `fd` is not a pipe, and that does no harm.
void widen_pipe(int fd) {
  constexpr int kPipeBytes = 1 << 20;  // the most that a process without privileges may ask for (pipe(7))
  fcntl(fd, F_SETPIPE_SZ, kPipeBytes);
}

// A core file would land in the app's storage, which is the working directory.
void forbid_core_files() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

std::optional<Confinement> confine(const std::optional<std::string>& storage) {
  if (!storage) {
    require_own_rights();
    return std::nullopt;
  }
  std::optional<Confinement> confinement(*storage);
  // What only root may see of this machine has to be read before this.
  confinement->give_up_root();
  return confinement;
}

// Runs before anything is read from the client. If the login may not use the rights that it was lent, the
// client is told so.
std::optional<Confinement> confine_or_exit(const std::optional<std::string>& storage, FrameWriter& writer) {
  std::optional<Confinement> confinement;
  if (run_and_tell(writer, [&] { return (confinement = confine(storage)), 0; }) != 0) _exit(1);
  return confinement;
}

Frame read_request(FrameReader& reader) {
  Frame frame;
  require_peer(reader.next(frame) &&
                   (frame.type == MessageType::kRequest || frame.type == MessageType::kRestoreRequest ||
                    frame.type == MessageType::kLookRequest),
               "the first message is no request");
  return frame;
}

}  // namespace

void run_session(int in_fd, int out_fd, const std::optional<std::string>& storage) {
  forbid_core_files();
  allow_many_descriptors();
  widen_pipe(out_fd);
  const std::string greeting = std::string(kAgentGreeting) + "\n";
  write_all(out_fd, greeting.data(), greeting.size(), "the client's stream");

  FdSink sink(out_fd, "the client's stream");
  FrameWriter writer(sink);
  const std::optional<Confinement> confined = confine_or_exit(storage, writer);
  const Confinement* confinement = confined ? &*confined : nullptr;

  DeadlineSource source(in_fd, kDefaultSilenceMs);
  FrameReader reader(source);
  const Frame first = read_request(reader);
  if (first.type == MessageType::kRequest)
    pull_and_exit(decode_request(first.body), confinement, source, reader, writer);
  if (first.type == MessageType::kLookRequest)
    look_and_exit(decode_look_request(first.body), confinement, source, reader, writer);
  restore_and_exit(decode_restore_request(first.body), confinement, source, reader, writer);
}

}  // namespace litepull
