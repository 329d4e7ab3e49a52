#include "client/restore/talk.h"

#include <zstd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "client/base/error_of.h"
#include "client/base/progress.h"
#include "client/link/agent_messages.h"
#include "client/link/link.h"
#include "client/link/pinger.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/frame.h"

namespace litepull {
namespace {

constexpr int kDefaultLevel = 3;

// Sends the page hashes of all files in order, as far ahead as the protocol allows.
class HashPump {
 public:
  // `wanted` has the number of pages for each file. The references must outlive this. A broken link ends the
  // thread; the reading side notices by itself. throw_failure() throws when a file cannot be read.
  HashPump(FrameWriter& writer, const std::vector<RestoreFile>& files, std::vector<std::uint32_t> wanted)
      : writer_(writer), files_(files), wanted_(std::move(wanted)), thread_([this] { run(); }) {}
  ~HashPump() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  HashPump(const HashPump&) = delete;
  HashPump& operator=(const HashPump&) = delete;

  // The agent has compared so many more pages of the current file.
  void compared(std::uint32_t pages) {
    {
      const std::lock_guard lock(mutex_);
      ahead_ -= std::min<std::uint64_t>(ahead_, pages);
    }
    changed_.notify_all();
  }

  void throw_failure() {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void run() {
    try {
      for (std::uint32_t index = 0; index < files_.size(); ++index)
        if (!send(index)) return;
    } catch (const Error&) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
    }
  }

  bool send(std::uint32_t index) {
    Hashes message;
    message.database = index;
    for (std::uint32_t first = 1; first <= wanted_[index];) {
      const auto at_once = static_cast<std::uint32_t>(kMaxHashesPerMessage);
      const std::uint32_t count = std::min(at_once, wanted_[index] - first + 1);
      if (!wait_for_room(count)) return false;
      files_[index].hash(first, count, message.hashes);
      writer_.write(MessageType::kHashes, encode(message));
      first += count;
    }
    return true;
  }

  bool wait_for_room(std::uint32_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stop_ || ahead_ + count <= kHashWindow; });
    ahead_ += count;
    return !stop_;
  }

  FrameWriter& writer_;
  const std::vector<RestoreFile>& files_;
  const std::vector<std::uint32_t> wanted_;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::uint64_t ahead_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

// Sends the pages that the agent asked for, many in one message.
class PageUpload {
 public:
  PageUpload(FrameWriter& writer, int level)
      : writer_(writer), level_(level), context_(ZSTD_createCCtx()), compressed_(kMaxBatchBytes) {
    invariant(context_ != nullptr, "no memory for compression");
  }

  void send(std::uint32_t database, const RestoreFile& file, const std::vector<PageRun>& runs) {
    head_.database = database;
    const std::uint32_t size = file.item().page_size;
    for (const PageRun& run : runs)
      for (std::uint32_t done = 0; done < run.count;) {
        if (raw_.size() + size > kMaxBatchBytes || head_.runs.size() == kMaxRuns) flush();
        const auto room = static_cast<std::uint32_t>((kMaxBatchBytes - raw_.size()) / size);
        const std::uint32_t part = std::min(room, run.count - done);
        file.read(run.first + done, part, pages_);
        raw_.insert(raw_.end(), pages_.begin(), pages_.end());
        head_.runs.push_back({run.first + done, part});
        done += part;
      }
    flush();
  }

 private:
  void flush() {
    if (head_.runs.empty()) return;
    std::size_t size = 0;
    if (level_ > 0)
      size = ZSTD_compressCCtx(context_.get(), compressed_.data(), raw_.size() - 1, raw_.data(), raw_.size(),
                               level_);
    const bool smaller = size > 0 && ZSTD_isError(size) == 0;
    head_.codec = smaller ? Codec::kZstd : Codec::kRaw;
    head_.raw_bytes = static_cast<std::uint32_t>(raw_.size());
    writer_.write(MessageType::kPut, encode(head_),
                  smaller ? ByteView(compressed_).first(size) : ByteView(raw_));
    head_.runs.clear();
    raw_.clear();
  }

  struct ContextDeleter {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  FrameWriter& writer_;
  const int level_;
  std::unique_ptr<ZSTD_CCtx, ContextDeleter> context_;
  Bytes compressed_;
  PagesHead head_;
  Bytes raw_, pages_;
};

class Talker {
 public:
  Talker(const Config& config, RestoreMode mode, const std::vector<RestoreFile>& files, Link& link,
         Cancel& cancel, Progress& progress)
      : mode_(mode),
        files_(files),
        cancel_(cancel),
        progress_(progress),
        writer_(link),
        messages_(link, patience_us(config.idle_timeout_s),
                  "run this again; nothing was changed on the server"),
        upload_(writer_, config.compression_level.value_or(kDefaultLevel)) {
    request_.mode = mode;
    request_.directory = config.remote_backup_dir;
    request_.key = files.front().key();
    for (const RestoreFile& file : files) request_.items.push_back(file.item());
  }

  RestoreTalk run(const std::function<void(const RestoreTalk&)>& on_targets) {
    writer_.write(MessageType::kRestoreRequest, encode(request_));
    const Pinger pinger(writer_);
    talk_.hello = decode_hello(expect(MessageType::kHello));
    for (std::size_t i = 0; i < files_.size(); ++i) take_target();
    if (on_targets) on_targets(talk_);
    if (mode_ != RestoreMode::kLook) prepare_all();
    if (mode_ == RestoreMode::kRestore) {
      expect(MessageType::kPrepared);
      go_on();
    } else {
      talk_.done = decode_done(expect(MessageType::kDone));
    }
    return std::move(talk_);
  }

 private:
  Frame& next() {
    return messages_.next([&] {
      if (pump_) pump_->throw_failure();
    });
  }

  ByteView expect(MessageType type) {
    require_peer(next().type == type, "a message out of turn");
    return frame_.body;
  }

  void take_target() {
    Target target = decode_target(expect(MessageType::kTarget));
    require_peer(target.index == talk_.targets.size(), "targets out of order");
    talk_.targets.push_back(std::move(target));
  }

  std::uint32_t compared_pages(std::size_t index) const {
    const Target& target = talk_.targets[index];
    return target.state == TargetState::kThere ? std::min(target.page_count, files_[index].item().pages) : 0;
  }

  void prepare_all() {
    std::vector<std::uint32_t> wanted;
    for (std::size_t i = 0; i < files_.size(); ++i) wanted.push_back(compared_pages(i));
    pump_.emplace(writer_, files_, std::move(wanted));
    for (std::uint32_t i = 0; i < files_.size(); ++i) prepare(i);
    pump_.reset();
  }

  // Sends what the agent asks for until the database is ready.
  void prepare(std::uint32_t index) {
    const RestoreItem& item = files_[index].item();
    progress_.begin(item.name, files_[index].bytes());
    std::uint32_t compared = 0;
    std::uint64_t asked = 0;  // the agent asked up to this page in this round
    std::uint8_t round = 0;
    for (next(); frame_.type != MessageType::kReady; next()) {
      if (frame_.type == MessageType::kCompared) {
        const Compared report = decode_compared(frame_.body);
        require_peer(report.database == index && report.pages > compared && report.pages <= item.pages,
                     "a comparison out of order");
        pump_->compared(std::min(report.pages, compared_pages(index)) -
                        std::min(compared, compared_pages(index)));
        progress_.advance(std::uint64_t{item.page_size} * (report.pages - compared));
        compared = report.pages;
        continue;
      }
      const Needed needed = decode_needed(expect_here(MessageType::kNeeded));
      if (needed.round > round) asked = 0;
      require_peer(needed.database == index && needed.round >= round && needed.runs.front().first > asked,
                   "pages needed out of order");
      require_peer(mode_ == RestoreMode::kRestore, "pages needed for a comparison");
      round = needed.round;
      asked = std::uint64_t{needed.runs.back().first} + needed.runs.back().count - 1;
      require_peer(asked <= item.pages, "pages needed that are not there");
      upload_.send(index, files_[index], needed.runs);
    }
    talk_.ready.push_back(decode_ready(frame_.body));
    require_peer(talk_.ready.back().database == index && compared == item.pages,
                 "a database ready too early");
    progress_.finish();
  }

  ByteView expect_here(MessageType type) {
    require_peer(frame_.type == type, "a message out of turn");
    return frame_.body;
  }

  // From here on the server may change. So errors become part of the result.
  void go_on() {
    cancel_.throw_if_requested();
    cancel_.detach();
    progress_.step("replacing");
    talk_.lost = error_of([&] {
      writer_.write(MessageType::kCommit);
      take_results();
    });
  }

  void take_results() {
    while (talk_.restored.size() < files_.size() && !talk_.failed) {
      const auto index = static_cast<std::uint32_t>(talk_.restored.size());
      if (next().type == MessageType::kFailed) {
        DatabaseFailed failed = decode_failed(frame_.body);
        require_peer(failed.database == index, "the failure of another database");
        talk_.failed = std::move(failed);
      } else {
        const Restored restored = decode_restored(expect_here(MessageType::kRestored));
        require_peer(restored.database == index, "another database restored");
        talk_.restored.push_back(restored);
      }
    }
    talk_.done = decode_done(expect(MessageType::kDone));
  }

  const RestoreMode mode_;
  const std::vector<RestoreFile>& files_;
  Cancel& cancel_;
  Progress& progress_;
  FrameWriter writer_;
  AgentMessages messages_;
  PageUpload upload_;
  RestoreRequest request_;
  const Frame& frame_ = messages_.last();  // the current message
  RestoreTalk talk_;
  std::optional<HashPump> pump_;
};

}  // namespace

RestoreTalk talk_restore(const TalkContext& context, RestoreMode mode, const std::vector<RestoreFile>& files,
                         const std::function<void(const RestoreTalk&)>& on_targets) {
  context.progress.step("connecting");
  Cancel until_committed(&context.cancel);
  std::string host_key;
  const std::unique_ptr<Link> link = open_link(context.config, context.agent_path, until_committed,
                                               [&](const std::string& shown) { host_key = shown; });
  RestoreTalk talk =
      Talker(context.config, mode, files, *link, until_committed, context.progress).run(on_targets);
  talk.host_key = std::move(host_key);
  talk.wire = {link->received_bytes(), link->sent_bytes()};
  return talk;
}

}  // namespace litepull
