#include "client/agent_file.h"

#include <unistd.h>
#include <xxhash.h>

#include <boost/dll/runtime_symbol_info.hpp>
#include <cstdint>

#include "common/error.h"
#include "common/posix.h"
#include "common/protocol.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxAgentBytes = 64 << 20;

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

}  // namespace

std::string own_program() {
#ifdef __linux__
  return "/proc/self/exe";  // also when the file was replaced or removed since we started
#else
  return boost::dll::program_location().string();
#endif
}

std::string find_agent(const std::string& override_path) {
  const std::string path = !override_path.empty()
                               ? override_path
                               : (boost::dll::program_location().parent_path() / "litepull-agent").string();
  if (access(path.c_str(), R_OK) != 0)
    throw Error(ErrorKind::kFailed, "the agent is not at " + path,
                "keep litepull-agent beside litepull, or set LITEPULL_AGENT to its path");
  return path;
}

AgentFile read_agent(const std::string& path) {
  AgentFile agent;
  agent.path = path;
  agent.content = read_file(path, kMaxAgentBytes);
  agent.build = build_of(agent.content);
  agent.machine = machine_of(path, agent.content);
  return agent;
}

}  // namespace litepull
