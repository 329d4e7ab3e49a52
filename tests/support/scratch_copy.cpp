#include "tests/support/scratch_copy.h"

#include <filesystem>

namespace litepull::test {
namespace {

std::string copy_into(const TempDir& dir, const std::string& path) {
  const std::string target = dir / "copy.sqlite3";
  for (const char* suffix : {"", "-wal", "-journal"})
    if (std::filesystem::exists(path + suffix)) std::filesystem::copy_file(path + suffix, target + suffix);
  return target;
}

}  // namespace

ScratchCopy::ScratchCopy(const std::string& path)
    : database_(copy_into(dir_, path), SQLite::OPEN_READWRITE) {}

}  // namespace litepull::test
