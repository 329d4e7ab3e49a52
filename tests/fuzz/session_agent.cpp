// Fuzzes what an agent does with its client's messages, with its real queues: requests, page hashes, pages.
// The input is the client's stream. This plays the agent's main thread in the same thread, so it takes what
// is there and never waits.
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "agent/hash_feed.h"
#include "agent/image.h"
#include "agent/page_intake.h"
#include "common/wire/frame.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sample.h"
#include "tests/fuzz/scratch_file.h"

namespace litepull {

// Replaces the product's Image, which needs SQLite, by one in memory.
Image::Image(const RestoreItem& item, const DigestKey& key)
    : page_size_(item.page_size), pages_(item.pages), key_(key) {
  static const fuzz::ScratchFile file;
  file.set({});
  invariant(::ftruncate(file.get(), static_cast<off_t>(bytes())) == 0, "no room for an image");
  file_ = file.open();
}

void Image::read(std::uint32_t first, std::uint32_t count, Bytes& out) const {
  out.resize(std::size_t{count} * page_size_);
  pread_all(file_.get(), out.data(), out.size(), std::uint64_t{first - 1} * page_size_, "an image");
}

void Image::write(std::uint32_t first, ByteView pages) {
  const std::uint64_t end = std::uint64_t{first - 1} * page_size_ + pages.size();
  invariant(first >= 1 && end <= bytes(), "pages past the end of an image");
  pwrite_all(file_.get(), pages.data(), pages.size(), std::uint64_t{first - 1} * page_size_, "an image");
}

namespace fuzz {
namespace {

constexpr std::uint64_t kMaxImageBytes =
    1 << 20;  // an honest client's may be larger, but a fuzzer's need not be

// A database as the agent has it, and the pages that the client is to send.
struct Work {
  RestoreItem item;  // in a pull, what the client has
  bool wants_pages = false;
  std::uint32_t heard = 0, used = 0;  // of its hashes
};

class Agent {
 public:
  explicit Agent(const Frame& first) {
    if (first.type == MessageType::kRequest) {
      begin_pull(decode_request(first.body));
    } else if (first.type == MessageType::kRestoreRequest) {
      begin_restore(decode_restore_request(first.body));
    } else {
      require_peer(first.type == MessageType::kLookRequest, "the first message is no request");
      decode_look_request(first.body);
    }
    std::vector<std::uint32_t> expected;
    for (const Work& work : works_) expected.push_back(work.item.pages);
    hashes_.expect(std::move(expected));
    prepare();
  }

  // As in agent/client_watch.cpp. A ping stands for an error that ends the current comparison.
  void hear(const Frame& frame) {
    if (frame.type == MessageType::kPing && current_ < works_.size() && !works_[current_].wants_pages)
      return end_database();
    if (frame.type == MessageType::kPing || (frame.type == MessageType::kCommit && current_ == works_.size()))
      return;
    require_peer(!works_.empty(), "a message out of turn");
    if (frame.type == MessageType::kHashes) {
      Hashes hashes = decode_hashes(frame.body);
      const std::uint32_t database = hashes.database;
      const auto count = static_cast<std::uint32_t>(hashes.hashes.size());
      hashes_.add(std::move(hashes));
      works_.at(database).heard += count;
    } else {
      require_peer(frame.type == MessageType::kPut, "a message out of turn");
      put(frame);
    }
    go_on();
  }

 private:
  void begin_pull(const Request& request) {
    for (const auto& [name, pages] : {std::pair(kName, kPages), std::pair(kOtherName, 5U)})
      for (const Base& base : request.bases)
        if (base.name == name && base.page_size == kPageSize)
          works_.push_back({{name, kPageSize, std::min(base.pages, pages), {}}});
  }

  void begin_restore(const RestoreRequest& request) {
    if (request.mode == RestoreMode::kLook) return;
    for (const RestoreItem& item : request.items)
      if (std::uint64_t{item.pages} * item.page_size <= kMaxImageBytes)
        works_.push_back({item, request.mode == RestoreMode::kRestore});
  }

  // Asks for every page, and for the odd ones one by one.
  void prepare() {
    if (current_ == works_.size() || !works_[current_].wants_pages) return;
    const RestoreItem& item = works_[current_].item;
    image_ = std::make_unique<Image>(item, DigestKey{});
    intake_.begin(current_, *image_);
    asked_ = 0;
    std::vector<PageRun> runs;
    const std::uint32_t half = item.pages / 2;
    if (half > 0) runs.push_back({1, half});
    for (std::uint32_t page = half + 1; page <= item.pages && runs.size() < kMaxRuns; ++page)
      runs.push_back({page, 1});
    for (const PageRun& run : runs) asked_ += run.count;
    intake_.ask(runs);
  }

  void put(const Frame& frame) {
    intake_.put(frame.body);
    ByteView payload;
    const PagesHead head = decode_pages(frame.body, payload);
    invariant(current_ < works_.size() && head.database == current_, "pages that nobody waits for");
    for (const PageRun& run : head.runs) {
      invariant(run.count <= asked_, "more pages than were asked for");
      asked_ -= run.count;
    }
    if (head.codec == Codec::kRaw) require_there(head, payload);
  }

  void require_there(const PagesHead& head, ByteView payload) const {
    for (const PageRun& run : head.runs) {
      Bytes now;
      image_->read(run.first, run.count, now);
      invariant(std::ranges::equal(now, payload.first(now.size())), "pages that were put somewhere else");
      payload = payload.subspan(now.size());
    }
  }

  // Takes the hashes that are there. A database that has everything it needs is done.
  void go_on() {
    while (current_ < works_.size()) {
      Work& work = works_[current_];
      std::vector<std::uint32_t> taken;
      hashes_.take(current_, work.heard - work.used, taken);
      invariant(taken.size() == work.heard - work.used, "another number of hashes than were sent");
      work.used = work.heard;
      if (work.used < work.item.pages || asked_ > 0) return;
      if (work.wants_pages) intake_.wait_for_all();  // it has nothing to wait for
      end_database();
    }
  }

  void end_database() {
    hashes_.finish(current_++);
    prepare();
  }

  HashFeed hashes_;
  PageIntake intake_;
  std::unique_ptr<Image> image_;
  std::vector<Work> works_;
  std::uint32_t current_ = 0;  // the current database
  std::uint64_t asked_ = 0;    // its pages that were asked for and have not come yet
};

void take(ByteView input) {
  InputSource source(input);
  FrameReader reader(source);
  Frame frame;
  require_peer(reader.next(frame), "no request");
  Agent agent(frame);
  while (reader.next(frame)) agent.hear(frame);
}

}  // namespace
}  // namespace fuzz
}  // namespace litepull

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace litepull;
  fuzz::accepts({ErrorKind::kPeer}, [&] { fuzz::take({data, size}); });
  return 0;
}
