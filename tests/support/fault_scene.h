// A small app with three snapshots, of which the next run's retention removes two, and what may become of it
// while litepull works on it and calls fail, the process is killed or the power goes out.
//
// Used from one thread; what cannot be set up throws Error{kFailed}.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/fault_run.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {

// Something that litepull is asked to do.
struct Task {
  std::string name;
  std::vector<std::string> arguments;  // CONFIG comes after the first of them
  bool publishes = false;              // a snapshot
  bool prunes = false;                 // removes what retention does not keep
  bool records = false;                // changes the newest snapshot's manifest
  bool restores = false;               // to FaultScene::target()
  bool has_target = false;             // that is there already
};
const std::vector<Task>& all_tasks();
const Task& task(const std::string& name);

class FaultScene {
 public:
  FaultScene();

  PullFixture& app() { return app_; }
  std::string target() const { return app_.scratch("restored"); }
  // The directory below which calls are counted: the workspace and the target are in it.
  std::string directory() const { return std::filesystem::path(app_.config_path()).parent_path(); }
  const std::string& newest() const { return newest_; }  // the path of the newest snapshot

  // Neither workspace nor target.
  void clear();
  // Everything as it was in the beginning, for this task.
  void reset(const Task& task);
  std::vector<std::string> argv(const Task& task) const;
  FaultRun run(const Task& task, const Fault& fault = {}, bool with_data = false) const;

  // Why what a run of the task left is not as it may be after it ended so; empty when all is well.
  std::string why_not_sound(const Task& task, const ProcessResult& ended) const;
  // The same task done now: it succeeds, and nothing of an interrupted one is left.
  std::string why_next_run_fails(const Task& task);

 private:
  std::string why_snapshots_changed(const Task& task, int code) const;
  std::string why_not_published(const Task& task, int code, const std::set<std::string>& fresh) const;
  std::string why_target_is_wrong(const Task& task, int code, const std::string& source) const;
  std::string why_not_listed() const;
  std::string content_of(const std::string& directory) const;

  PullFixture app_{Over::kLocal};
  const std::string original_ = app_.scratch("original");  // the workspace to begin with
  std::string newest_;
  std::map<std::string, std::string> contents_;  // of the snapshots to begin with, by path, without manifests
  std::map<std::string, std::string> manifests_;
};

}  // namespace litepull::test
