// An unlinked temporary file for pages that must leave a database faster than the network takes them.
#pragma once

#include <cstdint>

#include "common/posix.h"
#include "common/wire/bytes.h"

namespace litepull {

// Opens a file without a name on the disk with the most room, if that has `bytes` beside a reserve
// (Spool::kReserveBytes or a twentieth of the disk, whichever is more). Otherwise returns no file. It is
// never in the storage directory.
Fd open_unlinked_with_room(std::uint64_t bytes);

// How many bytes a restore may take on the disk that `fd` is on. A twentieth of the disk, at most
// kReserveBytes, stays for the app, whatever the client wants. Throws Error when the disk cannot be looked
// at.
std::uint64_t bytes_free_to_use(int fd);

// One thread writes, and another reads what was written before. The file has no name, so it never stays
// behind, however the agent ends. It is never in the storage directory.
class Spool {
 public:
  // Opens the file at the first call. False when no directory has room for `bytes` more bytes beside the
  // reserve of open_unlinked_with_room; then nothing has changed.
  [[nodiscard]] bool reserve(std::uint64_t bytes);

  // Returns the offset at which `data` can be read again.
  std::uint64_t append(ByteView data);
  void read(std::uint64_t offset, std::uint8_t* out, std::size_t size) const;

  static constexpr std::uint64_t kReserveBytes = 256ULL << 20;

 private:
  Fd file_;
  std::uint64_t end_ = 0;
};

}  // namespace litepull
