#include "client/restore/run_on_restored.h"

#include <filesystem>
#include <utility>

#include "client/restore/staged_directory.h"

namespace litepull {

CommandRun run_on_restored(const RestoreSource& source, const TrialOptions& options,
                           const std::function<void(std::string_view)>& output, const Cancel& cancel,
                           Progress& progress) {
  const std::string parent = std::filesystem::canonical(options.temporary_directory).string();
  const StagedDirectory directory(parent, "trial");
  source.copy_to(directory.fd(), directory.path(), cancel, progress);
  progress.step("running " + printable(options.command));
  std::vector<std::string> variables = options.variables;
  variables.push_back("LITEPULL_RESTORED_DIR=" + directory.path());
  variables.push_back("LITEPULL_SNAPSHOT=" + source.snapshot());
  return run_command(
      {options.command, directory.path(), std::move(variables), static_cast<double>(options.timeout_s)},
      output, cancel);
}

}  // namespace litepull
