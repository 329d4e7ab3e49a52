#include "client/restore/run_on_restored.h"

#include <filesystem>

#include "client/restore/staged_directory.h"

namespace litepull {

CommandRun run_on_restored(const RestoreSource& source, const TrialOptions& options,
                           const std::function<void(std::string_view)>& output, const Cancel& cancel,
                           Progress& progress) {
  const std::string parent = std::filesystem::canonical(options.temporary_directory).string();
  const StagedDirectory directory(parent, "trial");
  source.copy_to(directory.fd(), directory.path(), cancel, progress);
  progress.step("running " + printable(options.command));
  return run_command({options.command,
                      directory.path(),
                      {"LITEPULL_RESTORED_DIR=" + directory.path(), "LITEPULL_SNAPSHOT=" + source.snapshot()},
                      static_cast<double>(options.timeout_s)},
                     output, cancel);
}

}  // namespace litepull
