#include "client/commands/hidden_commands.h"

#include <cstdint>
#include <cstdlib>

#include "client/diff/files.h"
#include "client/keys/key_file.h"
#include "client/sandbox/check_file.h"
#include "client/sandbox/page_owners.h"
#include "client/sandbox/recover.h"

namespace litepull {
namespace {

std::uint64_t number(const std::string& word) {
  return std::strtoull(word.c_str(), nullptr, 10);
}

}  // namespace

//   check-file PATH full|quick BYTES
//   page-owners PATH PAGE_SIZE PAGE,PAGE,... BYTES
//   diff-files PATH_A PATH_B ROWS BYTES
//   recover-file PATH BYTES
//   unlock-key PATH
std::optional<int> run_hidden_command(const std::vector<std::string>& words) {
  if (words.size() == 4 && words[0] == "check-file")
    return check_file_command(words[1], words[2] == "quick" ? CheckDepth::kQuick : CheckDepth::kFull,
                              number(words[3]));
  if (words.size() == 5 && words[0] == "page-owners")
    return page_owners_command(words[1], static_cast<std::uint32_t>(number(words[2])), words[3],
                               number(words[4]));
  if (words.size() == 5 && words[0] == "diff-files")
    return diff_files_command(words[1], words[2], number(words[3]), number(words[4]));
  if (words.size() == 3 && words[0] == "recover-file")
    return recover_file_command(words[1], number(words[2]));
  if (words.size() == 2 && words[0] == "unlock-key") return unlock_key_command(words[1]);
  return std::nullopt;
}

}  // namespace litepull
