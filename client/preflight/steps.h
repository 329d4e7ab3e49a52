// The steps of a preflight, and what was found at each.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace litepull {

enum class StepState {
  kOk,
  kWarning,  // a run would do its work, but something about it should be known
  kFailed,   // a run would fail, or would not be good
  kSkipped,  // unknown, because a step before it failed
};

// Safe to print.
struct Step {
  std::string name;  // "host key"
  StepState state = StepState::kOk;
  std::string text;  // what was found
  std::string hint;  // what to type; may be empty
};

// Several steps may have one name. One thread.
class Steps {
 public:
  // Called for each step as it ends; may be empty.
  using OnStep = std::function<void(const Step&)>;

  explicit Steps(OnStep on_step = {}) : on_step_(std::move(on_step)) {}

  void ok(const std::string& name, const std::string& text) { add(name, StepState::kOk, text, ""); }
  void warn(const std::string& name, const std::string& text, const std::string& hint = "") {
    add(name, StepState::kWarning, text, hint);
  }
  // `exit_code` is what a run would end with for this alone.
  void fail(const std::string& name, int exit_code, const std::string& text, const std::string& hint);
  void skip(std::initializer_list<const char*> names);
  // Calls `step`, and makes the Error that it throws a failed step. Returns whether it threw none. Throws
  // Error{kCancelled}.
  bool attempt(const std::string& name, const std::function<void()>& step);

  int exit_code() const;  // the most severe of those that failed
  std::vector<Step> take() { return std::move(steps_); }

 private:
  void add(const std::string& name, StepState state, const std::string& text, const std::string& hint);

  const OnStep on_step_;
  std::vector<Step> steps_;
  std::vector<int> codes_;  // of those that failed
};

}  // namespace litepull
