#include "client/pull/receiver.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "client/base/clock.h"
#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "client/link/link.h"
#include "client/pull/hash_sender.h"
#include "client/pull/intake.h"
#include "client/pull/spelled_names.h"
#include "common/database_name.h"
#include "common/disk.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

// Does not overflow, whatever the other clock claims.
std::int64_t difference_ms(std::uint64_t theirs) {
  const auto ours = static_cast<std::uint64_t>(unix_ms_now());
  const std::uint64_t difference = ours > theirs ? ours - theirs : theirs - ours;
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(difference, std::numeric_limits<std::int64_t>::max()));
}

class Receiver {
 public:
  Receiver(AgentMessages& messages, FrameWriter& writer, const Staging& staging, Drafts& drafts,
           Progress& progress, const Completed& completed)
      : messages_(messages),
        writer_(writer),
        staging_(staging),
        drafts_(drafts),
        progress_(progress),
        completed_(completed),
        frame_(messages.last()) {}

  Pull run() {
    pull_.hello = decode_hello(expect(MessageType::kHello));
    pull_.clock_difference_ms = difference_ms(pull_.hello.clock_unix_ms);
    take_set();
    drop_other_drafts();
    require_space();
    tell_names_apart();
    drafts_.start_cloning();
    HashSender hashes(writer_, drafts_, infos());
    hashes_ = &hashes;
    for (std::size_t i = 0; i < pull_.databases.size(); ++i)
      if (!pull_.databases[i].info.failed) take_or_pass_over(i);
    if (is_corrected_) correct_set();
    pull_.done = decode_done(expect(MessageType::kDone));
    return std::move(pull_);
  }

 private:
  Frame& next() { return messages_.next(); }
  ByteView expect(MessageType type) { return messages_.expect(type); }

  void take_set() {
    std::set<std::string> names;
    while (next().type == MessageType::kNotice) {
      require_peer(pull_.notices.size() < kMaxNotices, "too many notices");
      pull_.notices.push_back(decode_notice(frame_.body));
    }
    if (frame_.type == MessageType::kUnmatched) {
      pull_.unmatched = decode_unmatched(frame_.body);
      next();
    }
    for (; frame_.type == MessageType::kDatabase; next()) {
      PulledDatabase database;
      database.info = decode_database(frame_.body);
      require_peer(pull_.databases.size() < kMaxDatabases, "too many databases");
      add_words(database.info.name, database.info.problem);
      require_peer(database.info.index == pull_.databases.size(), "databases out of order");
      if (database.info.failed) {
        database.problem = database.info.problem;
      } else {
        require_peer(is_database_name(database.info.name),
                     "a database name that is not allowed: " + printable(database.info.name));
        require_peer(names.insert(folded_name(database.info.name)).second,
                     "the same database name twice: " + printable(database.info.name));
      }
      pull_.databases.push_back(std::move(database));
    }
    require_places();
    name_failed_ones();
    require_peer(frame_.type == MessageType::kSet, "a message out of turn");
    pull_.set = decode_set(frame_.body);
    pull_.pinned_unix_ms = unix_ms_now();
    require_peer(pull_.set.databases == pull_.databases.size(), "another number of databases than announced");
  }

  // These words stay in memory until the end, so their size is limited.
  void add_words(const std::string& name, const Problem& problem) {
    inventory_bytes_ += name.size() + problem.message.size() + problem.hint.size();
    require_peer(inventory_bytes_ <= kMaxInventoryBytes, "too many words on its databases");
  }

  // A database was pinned after the set was announced, so the set is not of one moment.
  void correct_set() {
    SetInfo set = decode_set(expect(MessageType::kSet));
    require_peer(set.databases == pull_.databases.size(), "another number of databases than announced");
    require_peer(set.consistency == Consistency::kPinned, "a barrier that a database was not at");
    pull_.set = std::move(set);
  }

  // No disk has a file and a directory of one name.
  void require_places() const {
    std::set<std::string> names;
    for (const PulledDatabase& database : pull_.databases)
      if (!database.problem) names.insert(database.info.name);
    for (const std::string& name : names)
      for (std::size_t at = 0; (at = name.find('/', at)) != std::string::npos; ++at)
        require_peer(!names.contains(name.substr(0, at)), "a database below another: " + printable(name));
  }

  // Their names are only for people, and may have been cut. A manifest must have each name once.
  void name_failed_ones() {
    std::set<std::string> taken;
    for (const PulledDatabase& database : pull_.databases)
      if (!database.info.failed) taken.insert(database.info.name);
    std::map<std::string, int> times;
    for (PulledDatabase& database : pull_.databases) {
      if (!database.info.failed) continue;
      const std::string name = printable(database.info.name);
      int& time = times[name];
      std::string& own = database.info.name = name;
      while (!taken.insert(own).second) own = name + " (" + std::to_string(++time + 1) + ")";
    }
  }

  // A database that the server no longer has must not be published.
  void drop_other_drafts() {
    std::set<std::string> names;
    for (const PulledDatabase& database : pull_.databases)
      if (!database.problem) names.insert(database.info.name);
    drafts_.keep_only(names);
  }

  // Makes an empty file for each database. Those that an interrupted run left come first, since their
  // spelling is on the disk already. Of two names that are one file there, only the first is taken.
  void tell_names_apart() {
    SpelledNames names(staging_.fd(), staging_.path());
    const std::set<std::string> left(staging_.leftovers().begin(), staging_.leftovers().end());
    for (const bool was_left : {true, false})
      for (PulledDatabase& database : pull_.databases)
        if (!database.problem && left.contains(database.info.name) == was_left)
          database.problem = problem_of_name(database.info.name, names);
  }

  std::optional<Problem> problem_of_name(const std::string& name, SpelledNames& names) {
    const auto failure = error_of([&] { staging_.open_file(name); });
    if (failure && !takes_files()) throw Error(*failure);
    if (failure)
      return Problem{ErrorKind::kRefused, "this machine's disk does not take its name: " + failure->message(),
                     "rename it, or name it in EXCLUDE"};
    const auto other = names.add(name);
    if (!other) return std::nullopt;
    leave_to(*other, name, names.has_file_of(name));
    return Problem{
        ErrorKind::kRefused,
        "on this machine's disk its name is the same as another one's: " + same_names(name, *other),
        "rename one of them, name one in EXCLUDE, or keep the snapshots on a disk that tells such "
        "names apart (LOCAL_BACKUP_ROOT)"};
  }

  // By now two bases may have been copied into one file.
  void leave_to(const std::string& first, const std::string& name, bool one_file) {
    drafts_.of(name).abandon();
    if (!one_file) return drafts_.discard(name);
    if (drafts_.of(name).offered().pages == 0) return;
    for (PulledDatabase& database : pull_.databases)
      if (database.info.name == first && !database.problem)
        database.misfit = "another database has the same name on this disk";
  }

  // Whether only that name is refused. Otherwise the disk is full, broken or read-only.
  bool takes_files() {
    const std::string probe = "probe-" + random_hex();
    return !error_of([&] {
      staging_.open_file(probe);
      staging_.discard_file(probe);
    });
  }

  std::vector<DatabaseInfo> infos() const {
    std::vector<DatabaseInfo> infos;
    for (const PulledDatabase& database : pull_.databases) {
      infos.push_back(database.info);
      if (database.info.failed || infos.back().base_pages == 0) continue;
      const Base& offered = drafts_.of(database.info.name).offered();
      require_peer(!database.info.unchanged ||
                       (offered.state != kNoState && database.info.page_count == offered.pages),
                   "a database called unchanged that was not offered as such");
      require_peer(database.info.base_pages <= offered.pages && database.info.page_size == offered.page_size,
                   "page hashes wanted that were not offered");
    }
    return infos;
  }

  std::uint64_t missing_bytes(const DatabaseInfo& info) const {
    return database_bytes(info) - std::min(drafts_.of(info.name).staged_bytes(), database_bytes(info));
  }

  void require_space() const {
    std::uint64_t needed = 0;
    for (const PulledDatabase& database : pull_.databases)
      if (!database.problem) needed += missing_bytes(database.info);
    require_space(needed);
  }

  void require_space(std::uint64_t needed) const {
    const std::uint64_t available = free_bytes_on(staging_.fd(), staging_.path());
    if (needed > available)
      throw Error(ErrorKind::kFailed,
                  "the snapshot needs " + std::to_string(needed >> 20) +
                      " MiB, and the disk of LOCAL_BACKUP_ROOT has " + std::to_string(available >> 20) +
                      " MiB left",
                  "free some space there, or lower RETENTION_DAYS and run litepull cleanup");
  }

  void take_database(std::size_t index) {
    PulledDatabase& database = pull_.databases[index];
    Draft& draft = drafts_.of(database.info.name);
    const std::uint64_t received_before = messages_.received_bytes();
    progress_.begin(database.info.name, database_bytes(database.info));
    try {
      take_pages(index, draft);
    } catch (const BaseError& error) {
      database.misfit = error.message();
      skip_pages(index);
    }
    hashes_->ended(static_cast<std::uint32_t>(index));
    database.received_bytes = messages_.received_bytes() - received_before;
    if (database.problem || database.misfit) return drafts_.discard(database.info.name);
    progress_.finish();
  }

  // The current database was pinned again, so what was announced of it may have changed. The agent wants the
  // same page hashes as before, or none.
  void announce_again(DatabaseInfo& info) {
    DatabaseInfo again = decode_database(frame_.body);
    require_peer(again.index == info.index && again.name == info.name, "another database than the next");
    require_peer(!again.failed && !again.unchanged && !info.unchanged,
                 "a database announced again that cannot be");
    require_peer(
        again.base_pages == 0 || (again.base_pages == info.base_pages && again.page_size == info.page_size),
        "other page hashes wanted than announced");
    info = std::move(again);
    is_corrected_ = true;
    next();
  }

  // The agent also sends databases that cannot be stored here. These are skipped.
  void take_or_pass_over(std::size_t index) {
    PulledDatabase& database = pull_.databases[index];
    if (!database.problem && !database.misfit) return take_database(index);
    if (next().type == MessageType::kDatabase) announce_again(database.info);
    skip_pages(index);
    hashes_->ended(static_cast<std::uint32_t>(index));
  }

  void take_pages(std::size_t index, Draft& draft) {
    PulledDatabase& database = pull_.databases[index];
    next();  // first, so that the current frame is of this database whatever is thrown
    if (frame_.type == MessageType::kDatabase) {
      announce_again(database.info);
      require_space(missing_bytes(database.info));
      progress_.begin(database.info.name, database_bytes(database.info));
    }
    Intake intake(database.info, staging_, draft);
    for (;; next()) {
      if (frame_.type == MessageType::kPages) {
        ByteView payload;
        const PagesHead head = decode_pages(frame_.body, payload);
        require_peer(head.database == index, "pages of another database");
        require_peer(!database.info.unchanged, "pages of a database called unchanged");
        if (database.info.base_pages > 0)
          hashes_->compared(head.database, head.runs.back().first + head.runs.back().count - 1);
        progress_.advance(intake.take(head, payload));
      } else if (frame_.type == MessageType::kCompared) {
        const Compared compared = decode_compared(frame_.body);
        require_peer(compared.database == index, "a comparison of another database");
        hashes_->compared(compared.database, compared.pages);
        progress_.advance(intake.compared(compared.pages));
      } else {
        break;
      }
    }
    if (!take_last(index)) return;
    const std::string snapshot = draft.snapshot();
    database.base_read_at = draft.base_read_at();
    if (!intake.finish(database.end)) {
      database.misfit = "";  // finding the reason takes long, and the agent is waiting
      return;
    }
    database.xxh128 = intake.xxh128();
    if (database.info.base_pages > 0) database.base = snapshot;
    database.shared_bytes = draft.shared_bytes();
    completed_(database);
  }

  // False when the database failed on the server.
  bool take_last(std::size_t index) {
    PulledDatabase& database = pull_.databases[index];
    if (frame_.type == MessageType::kFailed) {
      const DatabaseFailed failed = decode_failed(frame_.body);
      require_peer(failed.database == index, "the failure of another database");
      add_words("", failed.problem);
      database.problem = failed.problem;
      return false;
    }
    require_peer(frame_.type == MessageType::kEnd, "a message out of turn");
    database.end = decode_end(frame_.body);
    require_peer(database.end.database == index, "the end of another database");
    require_peer(
        !database.info.unchanged || database.end.digest == drafts_.of(database.info.name).offered().digest,
        "another checksum of a database called unchanged");
    return true;
  }

  // Skips a database that will be pulled again. The others are still wanted.
  void skip_pages(std::size_t index) {
    while (frame_.type == MessageType::kPages || frame_.type == MessageType::kCompared) {
      if (frame_.type == MessageType::kCompared)
        hashes_->compared(static_cast<std::uint32_t>(index), decode_compared(frame_.body).pages);
      next();
    }
    take_last(index);
  }

  AgentMessages& messages_;
  FrameWriter& writer_;
  const Staging& staging_;
  Drafts& drafts_;
  Progress& progress_;
  const Completed& completed_;
  const Frame& frame_;  // the current message
  Pull pull_;
  HashSender* hashes_ = nullptr;  // while databases are received
  std::size_t inventory_bytes_ = 0;
  bool is_corrected_ = false;  // a database was announced again, and so the set will be
};

}  // namespace

Pull receive(AgentMessages& messages, FrameWriter& writer, const Staging& staging, Drafts& drafts,
             Progress& progress, const Completed& completed) {
  return Receiver(messages, writer, staging, drafts, progress, completed).run();
}

}  // namespace litepull
