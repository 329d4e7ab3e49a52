// After a power cut a disk has what was flushed to it, and any part of the rest. litepull's calls are
// logged with what they wrote, and replayed on a model of such a disk. After each call every state that the
// disk may have is tried. Each snapshot is complete or absent, earlier ones are unchanged, the next run
// succeeds, and what was reported as done is there.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <sstream>

#include "tests/support/fault_scene.h"
#include "tests/support/run_helpers.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

enum class Loss { kAll, kSome, kNothing };  // of what was not flushed

// Names are flushed with the directory that holds them (fsync(2)), contents with their file. A rename within
// a directory is one change: both names or neither. One between two directories may arrive in one of them
// alone.
class Disk {
 public:
  // What is in these directories below `root` is on the disk.
  Disk(std::string root, const std::vector<std::string>& names) : root_(std::move(root)) {
    top_ = std::make_shared<Node>();
    for (const std::string& name : names)
      if (fs::exists(root_ + "/" + name))
        top_->names[name] = top_->flushed_names[name] = load(root_ + "/" + name);
  }

  void apply(const FileCall& call) {
    if (call.kind == "create" || call.kind == "mkdir") {
      const auto made = std::make_shared<Node>();
      made->is_file = call.kind == "create";
      change({at(call.path, made)});
    } else if (call.kind == "unlink") {
      change({at(call.path, nullptr)});
    } else if (call.kind == "link") {
      change({at(call.other_path, find(call.path))});
    } else if (call.kind == "rename") {
      const NodePtr moved = find(call.path);
      change({at(call.path, nullptr), at(call.other_path, moved)});
    } else if (call.kind == "write" || call.kind == "truncate") {
      if (const NodePtr file = find(call.path)) {
        file->pending.push_back(call);
        edit(file->content, call);
      }
    } else if (call.kind == "sync") {
      if (const NodePtr node = find(call.path)) flush(*node);
    }
  }

  // What it holds after a power cut.
  void write_to(const std::string& directory, Loss loss, std::mt19937_64& random) const {
    std::map<const Node*, Names> names;
    const auto survives = [&] {
      return loss == Loss::kNothing || (loss == Loss::kSome && random() % 2 == 0);
    };
    for (const std::vector<Entry>& entries : pending_) {
      if (!survives()) continue;
      for (const Entry& entry : entries) {
        names.try_emplace(entry.directory.get(), entry.directory->flushed_names);
        put(names.at(entry.directory.get()), entry);
      }
    }
    write(*top_, directory, names, survives);
  }

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  using Names = std::map<std::string, NodePtr>;
  struct Node {
    bool is_file = false;
    Names names, flushed_names;
    std::string content, flushed_content;
    std::vector<FileCall> pending;  // writes and truncates since
  };
  struct Entry {
    NodePtr directory;
    std::string name;
    NodePtr node;  // none: the name goes
  };

  static NodePtr load(const std::string& path) {
    auto node = std::make_shared<Node>();
    node->is_file = !fs::is_directory(path);
    if (node->is_file) node->content = node->flushed_content = read_file(path);
    if (!node->is_file)
      for (const auto& entry : fs::directory_iterator(path)) {
        const std::string name = entry.path().filename();
        node->names[name] = node->flushed_names[name] = load(entry.path());
      }
    return node;
  }

  NodePtr find(const std::string& path) const {
    NodePtr node = top_;
    std::istringstream parts(path.substr(std::min(path.size(), root_.size())));
    for (std::string part; node && std::getline(parts, part, '/');) {
      if (part.empty()) continue;
      const auto found = node->names.find(part);
      node = found == node->names.end() ? nullptr : found->second;
    }
    return node;
  }

  Entry at(const std::string& path, NodePtr node) const {
    const fs::path whole(path);
    return {find(whole.parent_path()), whole.filename(), std::move(node)};
  }

  static void put(Names& names, const Entry& entry) {
    if (entry.node)
      names[entry.name] = entry.node;
    else
      names.erase(entry.name);
  }

  void change(std::vector<Entry> entries) {
    for (const Entry& entry : entries) {
      ASSERT_TRUE(entry.directory) << entry.name << " is in no directory that the log knows";
      put(entry.directory->names, entry);
    }
    pending_.push_back(std::move(entries));
  }

  static void edit(std::string& content, const FileCall& call) {
    if (call.kind == "truncate") return content.resize(call.offset);
    content.resize(std::max<std::size_t>(content.size(), call.offset + call.size));
    content.replace(call.offset, call.size, call.data);
  }

  void flush(Node& node) {
    node.flushed_content = node.content;
    node.pending.clear();
    for (std::vector<Entry>& entries : pending_)
      std::erase_if(entries, [&](const Entry& entry) {
        if (entry.directory.get() != &node) return false;
        put(node.flushed_names, entry);
        return true;
      });
    std::erase_if(pending_, [](const auto& entries) { return entries.empty(); });
  }

  template <typename Survives>
  static void write(const Node& node, const std::string& path, const std::map<const Node*, Names>& names,
                    Survives survives) {
    if (node.is_file) {
      std::string content = node.flushed_content;
      for (const FileCall& call : node.pending)
        if (survives()) edit(content, call);
      return write_file(path, content);
    }
    fs::create_directories(path);
    const auto changed = names.find(&node);
    for (const auto& [name, below] : changed == names.end() ? node.flushed_names : changed->second)
      write(*below, path + "/" + name, names, survives);
  }

  const std::string root_;
  NodePtr top_;
  std::vector<std::vector<Entry>> pending_;
};

class PowerCut : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_faults(); !why.empty()) GTEST_SKIP() << why;
  }

  Disk disk_as_it_is() const { return Disk(scene_.directory(), {"workspace", "restored"}); }

  void cut(const Task& task, const Disk& disk, Loss loss, const ProcessResult& ended) {
    scene_.clear();
    disk.write_to(scene_.directory(), loss, random_);
    ASSERT_EQ(scene_.why_not_sound(task, ended), "");
    ASSERT_EQ(scene_.why_next_run_fails(task), "");
    ++cuts_;
  }

  FaultScene scene_;
  std::mt19937_64 random_{std::random_device{}()};
  int cuts_ = 0;
};

TEST_F(PowerCut, AfterAnyCallLeavesSnapshotsWholeOrAbsent) {
  const int stride = rounds(60, 1);
  ProcessResult killed;
  killed.status.signal = SIGKILL;
  for (const Task& task : all_tasks()) {
    scene_.reset(task);
    Disk disk = disk_as_it_is();
    const FaultRun whole = scene_.run(task, {}, true);
    ASSERT_EQ(whole.process.status.code, 0) << whole.words();
    int number = 0;
    const int first = static_cast<int>(random_() % static_cast<unsigned>(stride));
    cuts_ = 0;
    for (const FileCall& call : whole.calls) {
      disk.apply(call);
      if (!changes_something(call)) continue;
      if (++number % stride != first) continue;
      for (const Loss loss : {Loss::kAll, Loss::kSome, Loss::kNothing}) {
        SCOPED_TRACE(task.name + ": after call " + std::to_string(number) + ", a " + call.kind + " of " +
                     call.path + ", loss " + std::to_string(static_cast<int>(loss)));
        ASSERT_NO_FATAL_FAILURE(cut(task, disk, loss, killed));
      }
    }
    // All that has been reported is on the disk.
    SCOPED_TRACE(task.name + ": at the end");
    ASSERT_NO_FATAL_FAILURE(cut(task, disk, Loss::kAll, whole.process));
    std::printf("  %s: %d power cuts in %d calls\n", task.name.c_str(), cuts_, number);
  }
}

TEST_F(PowerCut, AfterTheFirstPullOfAllKeepsItsSnapshot) {
  const Task& pull = task("pull");
  scene_.reset(pull);
  scene_.clear();
  Disk disk = disk_as_it_is();
  const FaultRun run = scene_.run(pull, {}, true);
  ASSERT_EQ(run.process.status.code, 0) << run.words();
  for (const FileCall& call : run.calls) disk.apply(call);
  scene_.clear();
  disk.write_to(scene_.directory(), Loss::kAll, random_);
  ASSERT_EQ(scene_.app().snapshots().size(), 1U);
  EXPECT_EQ(why_not_whole(scene_.app().snapshots().front()), "");
}

bool has_name(const std::string& path, const std::string& prefix) {
  return fs::path(path).filename().string().starts_with(prefix);
}

// The same, said by the order of calls alone: the files of a snapshot, then its directories, the rename, and
// then the directory that holds it. Page hashes are left out: they are no part of what a snapshot is worth.
TEST_F(PowerCut, EverythingIsFlushedBeforeTheRenameThatPublishesIt) {
  for (const std::string name : {"pull", "delta"}) {
    scene_.reset(task(name));
    const FaultRun run = scene_.run(task(name));
    ASSERT_EQ(run.process.status.code, 0) << run.words();
    std::map<std::string, bool> flushed;  // since it was changed, by path
    auto call = run.calls.begin();
    for (; call != run.calls.end() && !(call->kind == "rename" && has_name(call->path, ".partial-"));
         ++call) {
      if (call->kind == "sync") flushed[call->path] = true;
      if (call->kind == "write" || call->kind == "truncate") flushed[call->path] = false;
      if (call->kind == "create" || call->kind == "mkdir" || call->kind == "unlink" || call->kind == "rename")
        flushed[fs::path(call->path).parent_path()] = false;
      if (call->kind != "rename") continue;
      flushed[call->other_path] = flushed[call->path];
      flushed.erase(call->path);
    }
    ASSERT_NE(call, run.calls.end());
    for (const char* part : {"", "/tenants", "/.hashes", "/production.sqlite3", "/tenants/a.sqlite3",
                             "/large.sqlite3", "/manifest.json"})
      EXPECT_TRUE(flushed[call->path + part]) << call->path << part << " is not on the disk yet";
    const auto next = std::find_if(call + 1, run.calls.end(), changes_something);
    ASSERT_NE(next, run.calls.end());
    EXPECT_EQ(next->kind + " " + next->path, "sync " + scene_.app().app_directory());
  }
}

}  // namespace
}  // namespace litepull::test
