#include "client/preflight/steps.h"

#include "client/base/error_of.h"
#include "client/base/exit_code.h"
#include "client/base/jobs.h"

namespace litepull {

void Steps::add(const std::string& name, StepState state, const std::string& text, const std::string& hint) {
  steps_.push_back({name, state, text, hint});
  if (on_step_) on_step_(steps_.back());
}

void Steps::fail(const std::string& name, int exit_code, const std::string& text, const std::string& hint) {
  add(name, StepState::kFailed, text, hint);
  codes_.push_back(exit_code);
}

void Steps::skip(std::initializer_list<const char*> names) {
  for (const char* name : names) add(name, StepState::kSkipped, "not reached", "");
}

bool Steps::attempt(const std::string& name, const std::function<void()>& step) {
  const auto error = error_of(step);
  if (!error) return true;
  if (error->kind() == ErrorKind::kCancelled) throw Error(*error);
  fail(name, exit_code_of(error->kind()), error->message(), error->hint());
  return false;
}

int Steps::exit_code() const {
  return worst_exit_code(codes_);
}

}  // namespace litepull
