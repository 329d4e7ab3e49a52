// Calls a fuzz target with each file of a directory, in every build. So what fuzzers once found stays fixed.
#include <cstdio>
#include <exception>
#include <filesystem>

#include "tests/fuzz/fuzz.h"
#include "tests/support/temp_dir.h"

namespace {

namespace fs = std::filesystem;

int replay(const fs::path& corpus) {
  std::size_t count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(corpus)) {
    std::fprintf(stderr, "%s\n",
                 entry.path().filename().c_str());  // the last printed name is the input that failed
    const std::string content = litepull::test::read_file(entry.path());
    // Makes a copy of exactly this size, so that the sanitizers see a read past its end.
    const litepull::Bytes input(content.begin(), content.end());
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++count;
  }
  std::printf("%zu inputs, %zu of them accepted\n", count, litepull::fuzz::accepted);
  return litepull::fuzz::accepted > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  try {
    return replay(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
