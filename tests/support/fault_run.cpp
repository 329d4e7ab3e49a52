#include "tests/support/fault_run.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
bool changes_something(const FileCall& call) {
  return call.kind != "open" && call.kind != "read" && call.kind != "close";
}

std::string Fault::words() const {
  return kind + " " + std::to_string(number) + ": " + action +
         (error != 0 ? std::string(" with ") + std::strerror(error) : "");
}

bool FaultRun::struck() const {
  return std::any_of(calls.begin(), calls.end(), [](const FileCall& call) { return call.struck; });
}

int FaultRun::count(const std::string& kind) const {
  return static_cast<int>(std::count_if(calls.begin(), calls.end(), [&](const FileCall& call) {
    return call.kind == kind || (kind == "change" && changes_something(call));
  }));
}

std::string FaultRun::words() const {
  return "exit code " + std::to_string(process.status.code) + ", signal " +
         std::to_string(process.status.signal) + "\n" + process.out + process.err;
}

std::string why_no_faults() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return "a sanitizer's own library must be the first to be loaded";
#else
  return "";
#endif
}

// A line of tab-separated fields, then the data whose length is the last of them.
std::vector<FileCall> read_calls(const std::string& log) {
  std::vector<FileCall> calls;
  std::istringstream in(read_file(log));
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    auto next = [&] {
      std::string field;
      std::getline(fields, field, '\t');
      return field;
    };
    FileCall call;
    call.kind = next();
    call.struck = next() == "struck";
    call.path = std::filesystem::path(next()).lexically_normal();
    call.other_path = std::filesystem::path(next()).lexically_normal();
    call.offset = std::stoull(next());
    call.size = std::stoull(next());
    call.data.resize(std::stoull(next()));
    in.read(call.data.data(), static_cast<std::streamsize>(call.data.size()));
    calls.push_back(std::move(call));
  }
  return calls;
}

Environment fault_environment(const std::string& library, const std::string& directory,
                              const std::string& log, const FaultOptions& options) {
  Environment all{{"LD_PRELOAD", library}, {"FAULT_FS_DIR", directory}, {"FAULT_FS_LOG", log}};
  if (options.with_data) all["FAULT_FS_DATA"] = "1";
  const Fault& fault = options.fault;
  if (!fault.kind.empty())
    all["FAULT_FS_PLAN"] = fault.kind + " " + std::to_string(fault.number) + " " + fault.action + " " +
                           std::to_string(fault.error);
  return all;
}

FaultRun run_with_faults(const std::vector<std::string>& argv, const std::string& library,
                         const std::string& directory, const std::string& log, const FaultOptions& options) {
  std::filesystem::remove(log);
  RunOptions how;
  how.timeout = options.timeout;
  how.env = fault_environment(library, directory, log, options);
  FaultRun result;
  result.process = run(argv, how);
  if (!std::filesystem::exists(log))
    throw Error(ErrorKind::kFailed, argv[0] + " was not run with " + library);
  result.calls = read_calls(log);
  return result;
}

}  // namespace litepull::test
