#include "client/preflight/preflight.h"

#include <utility>

#include "client/preflight/key_step.h"
#include "client/preflight/local_steps.h"
#include "client/preflight/old_cleanup.h"
#include "client/preflight/server_steps.h"
#include "common/error.h"

namespace litepull {
namespace {

void try_configuration(const Config& config, Steps& steps) {
  if (steps.attempt("configuration", [&] { require_apart(config); }))
    steps.ok("configuration", printable(config.file));
  for (const std::string& warning : config.warnings) steps.warn("configuration", warning);
}

}  // namespace

PreflightReport preflight(const Config& config, const Environment& environment, const std::string& agent_path,
                          const Cancel& cancel, const Steps::OnStep& on_step) {
  Steps steps(on_step);
  try_configuration(config, steps);
  if (config.transport == Transport::kSsh) try_key(config, cancel, steps);
  const ServerFindings server = try_server(config, agent_path, cancel, steps);
  try_origin(config, server, steps);
  try_local_disk(config, server, steps);
  try_lock(config, steps);
  try_git(config, cancel, steps);
  try_old_cleanup(config, cancel, steps);
  try_schedule(config, environment, steps);

  PreflightReport report;
  report.exit_code = steps.exit_code();
  report.steps = steps.take();
  if (server.look) report.unmatched = server.look->unmatched;
  return report;
}

}  // namespace litepull
