// Fuzzes the file of page hashes beside a snapshot's database, as anyone may have written it.
#include "client/store/hash_file.h"

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sample.h"
#include "tests/fuzz/scratch_file.h"

namespace litepull::fuzz {
namespace {

constexpr std::size_t kPageSizeAt = 12, kPagesAt = 16, kPagesEnd = 20;

// The size of the database to which the file claims to belong. With any other size it is refused at once.
std::uint64_t claimed_bytes(ByteView input) {
  if (input.size() < kPagesEnd) return 0;
  ByteReader size(input.subspan(kPageSizeAt)), pages(input.subspan(kPagesAt));
  return std::uint64_t{size.u32()} * pages.u32();
}

void write_again(const HashFile& file, const ScratchFile& to) {
  HashFileWriter writer(to.open(), "again", file.head(), key());
  if (file.head().pages > 0)
    for (const std::uint32_t hash : file.read(1, file.head().pages)) writer.add(hash);
  writer.finish();
}

void take(ByteView input) {
  static const ScratchFile from, to;
  from.set(input);
  const auto file = HashFile::open(from.open(), "input", claimed_bytes(input), key());
  invariant(!HashFile::open(from.open(), "input", claimed_bytes(input) + 1, key()),
            "page hashes of another database");
  if (!file) return;
  ++accepted;
  to.set({});
  write_again(*file, to);
  invariant(std::ranges::equal(to.content(), input), "a file of page hashes is not what was read");
}

}  // namespace
}  // namespace litepull::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  litepull::fuzz::take({data, size});
  return 0;
}
