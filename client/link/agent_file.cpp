#include "client/link/agent_file.h"

#include <sys/utsname.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "client/base/own_program.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/protocol.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxAgentBytes = 64 << 20;
constexpr const char* kNames[] = {"litepull-agent", "litepull-agent-x86_64", "litepull-agent-aarch64"};

std::string build_of(const std::string& content) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(content.data(), content.size()));
  Digest digest;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), digest.begin());
  return to_hex(digest);
}

// e_machine of the ELF header, at offset 18 (System V ABI, chapter 4).
std::string machine_of(const std::string& path, const std::string& content) {
  const bool elf = content.size() > 20 && content.starts_with(
                                              "\x7F"
                                              "ELF");
  const unsigned machine =
      elf ? static_cast<unsigned char>(content[18]) | static_cast<unsigned char>(content[19]) << 8 : 0;
  if (machine == 62) return "x86_64";
  if (machine == 183) return "aarch64";
  throw Error(ErrorKind::kFailed, path + " is not an agent that a Linux server can run",
              "build litepull again on Linux");
}

AgentFile read_agent(const std::string& path) {
  AgentFile agent;
  agent.path = path;
  agent.content = read_file(path, kMaxAgentBytes);
  agent.build = build_of(agent.content);
  agent.machine = machine_of(path, agent.content);
  return agent;
}

// In the order of kNames, so that the agent of this build comes first.
std::vector<std::string> agents_in(const fs::path& directory) {
  std::vector<std::string> paths;
  for (const char* name : kNames)
    if (const std::string path = directory / name; access(path.c_str(), R_OK) == 0) paths.push_back(path);
  return paths;
}

fs::path own_directory() {
#ifdef __linux__
  if (access("/proc/self/exe", F_OK) != 0)
    throw Error(ErrorKind::kFailed, "this machine has no /proc, which litepull needs to find its own program",
                "mount it: mount -t proc proc /proc");
#endif
  return fs::path(own_program_file()).parent_path();
}

}  // namespace

std::string find_agent(const std::string& override_path) {
  if (!override_path.empty()) {
    std::error_code unreadable;
    if (fs::is_directory(override_path, unreadable) ? !agents_in(override_path).empty()
                                                    : access(override_path.c_str(), R_OK) == 0)
      return override_path;
    throw Error(ErrorKind::kFailed, "the agent is not at " + override_path,
                "set LITEPULL_AGENT to the agent's path, or unset it to use the one beside litepull");
  }
  const fs::path beside = own_directory();
  const fs::path installed = (beside / "../lib/litepull").lexically_normal();
  for (const fs::path& directory : {beside, installed})
    if (!agents_in(directory).empty()) return directory;
  throw Error(ErrorKind::kFailed,
              "the agent is neither in " + beside.string() + " nor in " + installed.string(),
              "keep litepull-agent beside litepull, or set LITEPULL_AGENT to its path");
}

std::vector<AgentFile> read_agents(const std::string& path) {
  if (!fs::is_directory(path)) return {read_agent(path)};
  std::vector<AgentFile> agents;
  for (const std::string& file : agents_in(path)) {
    AgentFile agent = read_agent(file);
    const bool known = std::any_of(agents.begin(), agents.end(),
                                   [&](const AgentFile& other) { return other.machine == agent.machine; });
    if (!known) agents.push_back(std::move(agent));
  }
  return agents;
}

std::string local_agent(const std::string& path) {
  if (!fs::is_directory(path)) return path;
  utsname system{};
  ::uname(&system);
  const std::string for_this_machine = std::string(kNames[0]) + "-" + system.machine;
  for (const std::string& file : agents_in(path))
    if (const std::string name = fs::path(file).filename(); name == kNames[0] || name == for_this_machine)
      return file;
  throw Error(ErrorKind::kFailed, "no agent in " + path + " is for " + system.sysname + " " + system.machine,
              "build litepull on this machine, or set LITEPULL_AGENT to an agent for it");
}

}  // namespace litepull
