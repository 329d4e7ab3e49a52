// Every message, constant and limit of the wire between client and agent. common/wire/PROTOCOL.md describes
// the bytes. Both ends decode with these functions, which throw Error{kPeer} when a rule is broken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/wire/bytes.h"
#include "common/wire/digest.h"

namespace litepull {

inline constexpr std::uint16_t kProtocolVersion = 7;
inline constexpr std::uint32_t kRequestMagic = 0x4C50544C;  // "LTPL" in little-endian order

// The first line that the remote command itself prints. A login script may have printed something before it.
inline constexpr char kAgentGreeting[] = "LITEPULL 1 agent";
inline constexpr std::size_t kMaxGreetingNoiseBytes = 64 * 1024 * 1024;

inline constexpr std::size_t kFrameHeaderBytes = 8;
inline constexpr std::size_t kMaxBatchBytes = 1024 * 1024;  // pages of one message, uncompressed
inline constexpr std::size_t kMaxRuns = 4096;
inline constexpr std::size_t kMaxDatabases = 16'384;
inline constexpr std::size_t kMaxInventoryBytes = 16 << 20;  // names and problems of all databases of a pull
inline constexpr std::size_t kMaxNameBytes = 1024;
inline constexpr std::size_t kMaxPathBytes = 4096;
inline constexpr std::size_t kMaxTextBytes = 4096;
inline constexpr std::size_t kMaxNotices = 64;    // of one conversation
inline constexpr std::size_t kMaxUnmatched = 20;  // patterns that an Unmatched has
inline constexpr std::size_t kMaxGlobs = 64;
inline constexpr std::size_t kMaxGlobBytes = 255;
inline constexpr std::uint32_t kMinPageSize = 512;  // https://sqlite.org/fileformat2.html#page_size
inline constexpr std::uint32_t kMaxPageSize = 65536;
inline constexpr std::uint32_t kMaxPageCount = 4294967294;  // https://sqlite.org/limits.html#max_page_count

// Not a level of zstd's: asks for the level that is fastest on this link at the moment, or a high one when
// there are few pages.
inline constexpr std::int8_t kAutoLevel = 127;

// The most that a request may ask for. The agent refuses more, and so does the configuration.
inline constexpr std::uint32_t kMaxBarrierMs = 10'000;   // each try makes writers wait
inline constexpr std::uint32_t kMaxHoldMs = 86'400'000;  // a day
inline constexpr std::uint64_t kMaxWalGrowthBytes = 1ULL << 40;
inline constexpr std::uint64_t kMaxMemoryBytes = 64ULL << 20;
inline constexpr std::int8_t kMinLevel = -7, kMaxLevel = 19;  // zstd's; higher ones take 100s of MB

// The most page hashes that the client may have sent before the agent uses them: 1 MiB of the agent's memory.
inline constexpr std::uint32_t kHashWindow = 256 * 1024;
inline constexpr std::size_t kMaxHashesPerMessage = 16 * 1024;

// How many of the processes that have a database open a Target names, and how many bytes of each name.
inline constexpr std::size_t kMaxHolders = 32;
inline constexpr std::size_t kMaxCommandBytes = 64;
inline constexpr std::size_t kMaxFileSystemBytes = 32;

// How long the client may be silent before the agent ends itself, and how often the client speaks so that
// this does not happen. The agent takes up to a second to notice, and has a grace time. In all, no lock
// outlives a dead link by more than 30 s.
inline constexpr std::uint32_t kDefaultSilenceMs = 25'000;
inline constexpr std::uint32_t kPingIntervalMs = 5'000;

enum class MessageType : std::uint8_t {
  // client to agent
  kRequest = 1,
  kPing = 2,
  kHashes = 3,
  kRestoreRequest = 4,
  kPut = 5,
  kCommit = 6,
  kLookRequest = 7,
  // agent to client
  kHello = 65,
  kDatabase = 66,
  kSet = 67,
  kPages = 68,
  kEnd = 69,
  kFailed = 70,
  kDone = 71,
  kAlive = 72,
  kError = 73,
  kCompared = 74,
  kTarget = 75,
  kNeeded = 76,
  kReady = 77,
  kPrepared = 78,
  kRestored = 79,
  kStorage = 80,
  kFound = 81,
  kNotice = 82,
  kUnmatched = 83,
};

// Returns the most bytes that the body of a message of `type` may have. Throws Error{kPeer} for an unknown
// type.
std::size_t max_body_bytes(std::uint8_t type);

// Tells the agent without reading a database whether its content is the same (agent/source_state.h): two
// equal states that were made with the same key mean equal content. The client keeps the state with its copy
// and does not look into it. kNoState means that the state is not known.
using SourceState = Digest;
inline constexpr SourceState kNoState{};

// A copy that the client has already. It may be of any age and incomplete. Its pages need not be sent again.
struct Base {
  std::string name;             // of the database
  std::uint32_t page_size = 0;  // bytes
  std::uint32_t pages = 0;
  SourceState state = kNoState;  // of the database when the copy was made
  Digest digest{};               // of the copy, with the request's key; set when `state` is known

  bool operator==(const Base&) const = default;
};

// What to pull and how. It is the first frame of a client that pulls.
struct Request {
  std::uint16_t version = kProtocolVersion;
  std::uint32_t silence_ms = kDefaultSilenceMs;
  std::string directory;               // absolute, or below the login directory, or starting with ~/
  std::vector<std::string> databases;  // globs, see common/glob.h
  std::vector<std::string> exclude;
  std::uint32_t barrier_ms = 2'000;     // how long the agent tries to hold all write locks together
  std::uint32_t hold_max_ms = 600'000;  // the longest that a read transaction waits for the network
  std::uint64_t wal_growth_max_bytes = 256ULL << 20;
  std::uint64_t memory_bytes = 8ULL << 20;     // for pages that wait for the network in the agent's memory
  std::int8_t compression_level = kAutoLevel;  // zstd's; 0 sends pages as they are
  DigestKey key{};                             // of all page hashes, digests and states of this run
  std::vector<Base> bases;                     // at most kMaxDatabases
};

struct Hello {
  std::uint16_t version = kProtocolVersion;
  std::uint64_t clock_unix_ms = 0;
  std::uint32_t uid = 0;  // that the agent runs as, once it has become the databases' owner
};

// Something that a person should know and that does not make the run fail.
struct Notice {
  std::string message;
  std::string hint;
};

// Databases that the agent found although no pattern of the request matches them.
struct Unmatched {
  struct Group {
    std::string pattern;  // that would match them; empty when it would be longer than a pattern may be
    std::string example;  // the name of one of them
    std::uint32_t databases = 0;

    bool operator==(const Group&) const = default;
  };
  std::vector<Group> groups;  // by pattern
  std::uint32_t more = 0;     // databases beyond those of the groups
  std::string end;            // why the agent stopped looking; empty when it looked at everything

  bool any() const { return !groups.empty(); }
  bool worth_telling() const { return any() || !end.empty(); }
  bool operator==(const Unmatched&) const = default;
};

enum class JournalMode : std::uint8_t { kRollback = 0, kWal = 1 };

// A database that was found. Its pages follow, unless it has failed. Every database is announced once before
// the Set. One that is pinned later is announced again at the beginning of its turn.
struct DatabaseInfo {
  std::uint32_t index = 0;  // counts from 0
  std::string name;         // path below the directory, with '/' between its parts
  bool failed = false;
  Problem problem;              // when failed
  std::uint32_t page_size = 0;  // bytes
  std::uint32_t page_count = 0;
  JournalMode journal_mode = JournalMode::kRollback;
  std::uint64_t wal_bytes = 0;   // size of the -wal file when the database was pinned
  std::uint32_t base_pages = 0;  // the agent wants the hashes of as many first pages of the client's base
  bool unchanged = false;        // the database equals the client's base; no hashes are wanted
};

enum class Consistency : std::uint8_t { kNone = 0, kBarrier = 1, kPinned = 2 };

// Sent once all databases are announced, and again at the end when a database was pinned since.
struct SetInfo {
  Consistency consistency = Consistency::kNone;  // kNone when there was nothing to pin
  std::uint64_t skew_us = 0;                     // from the first pin to the last; 0 at a barrier
  std::uint64_t lock_hold_us = 0;                // the longest that writers had to wait at the barrier
  std::uint32_t databases = 0;                   // how many DatabaseInfo were sent before this
  std::string note;                              // why there was no barrier; may be empty
};

struct PageRun {
  std::uint32_t first = 0;  // page numbers count from 1
  std::uint32_t count = 0;
};

enum class Codec : std::uint8_t { kRaw = 0, kZstd = 1 };

// The head of a Pages message. The rest of the body is the payload.
struct PagesHead {
  std::uint32_t database = 0;
  Codec codec = Codec::kRaw;
  std::uint32_t raw_bytes = 0;  // of all pages together, uncompressed
  std::vector<PageRun> runs;    // ascending, not overlapping
};

// Hashes of consecutive pages of the client's base. Those of each database begin with its page 1.
struct Hashes {
  std::uint32_t database = 0;
  std::vector<std::uint32_t> hashes;
};

// All pages up to page number `pages` that differ from the client's base have been sent.
struct Compared {
  std::uint32_t database = 0;
  std::uint32_t pages = 0;
};

// One database was sent as a whole. `digest` is that of the whole file as the client must have it now, with
// the request's key.
struct DatabaseEnd {
  std::uint32_t database = 0;
  std::uint32_t page_count = 0;
  std::uint32_t pages_sent = 0;
  Digest digest{};
  std::uint64_t hold_us = 0;        // from the pin to the release of the read transaction
  std::uint64_t spooled_bytes = 0;  // that went through the unlinked spool file
  std::uint64_t wal_bytes = 0;      // size of the -wal file at the release
  SourceState state = kNoState;
};

struct DatabaseFailed {
  std::uint32_t database = 0;
  Problem problem;
};

// --- Restore: a snapshot's databases go back to the server ---

// kLook only reports what is there. kCompare also counts the pages that differ. kRestore replaces the
// databases.
enum class RestoreMode : std::uint8_t { kLook = 0, kCompare = 1, kRestore = 2 };

// A file of a snapshot, and the database that it shall replace.
struct RestoreItem {
  std::string name;  // of the database, below the directory
  std::uint32_t page_size = 0;
  std::uint32_t pages = 0;
  Digest digest{};  // of the whole file, with the request's key

  bool operator==(const RestoreItem&) const = default;
};

// The first frame of a client that restores.
struct RestoreRequest {
  std::uint16_t version = kProtocolVersion;
  std::uint32_t silence_ms = kDefaultSilenceMs;
  RestoreMode mode = RestoreMode::kLook;
  std::string directory;           // as in Request
  DigestKey key{};                 // as in Request
  std::vector<RestoreItem> items;  // 1 to kMaxDatabases, each with another name
};

// A process that has a database open. `command` is the name that the process gives itself, so it may be
// anything.
struct Holder {
  std::uint32_t pid = 0;
  std::string command;
};

enum class TargetState : std::uint8_t { kThere = 0, kMissing = 1, kRefused = 2 };

// What is on the server where a database shall be restored. One is sent for each item, in their order.
struct Target {
  std::uint32_t index = 0;
  TargetState state = TargetState::kThere;
  Problem problem;  // when kRefused: why it cannot be restored
  // When kThere:
  std::uint32_t page_size = 0;
  std::uint32_t page_count = 0;
  JournalMode journal_mode = JournalMode::kRollback;
  std::uint64_t wal_bytes = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mode = 0;  // permission bits
  std::vector<Holder> holders;
};

// Pages of an item that the agent asks for. In round 0 these are the pages that differ, in ascending order.
// In round 1 they are all pages, because the file had the wrong digest after round 0.
struct Needed {
  std::uint32_t database = 0;
  std::uint8_t round = 0;
  std::vector<PageRun> runs;  // ascending, not overlapping
};

// The image of an item is complete on the server. In mode kCompare, all of the item was compared.
struct Ready {
  std::uint32_t database = 0;
  std::uint32_t differing = 0;  // pages
  std::uint64_t hold_us = 0;    // of the read transaction in which the database was copied
};

// From now on the database has the content of the snapshot's file, and that is on disk.
struct Restored {
  std::uint32_t database = 0;
  std::uint8_t created = 0;         // 1 when there was no database
  std::uint32_t pages_written = 0;  // by the transaction; all pages when created
  std::uint32_t page_count = 0;     // now
  std::uint64_t lock_us = 0;        // how long the write lock was held
  std::uint64_t wal_bytes_before = 0;
  std::uint64_t wal_bytes_after = 0;
  Digest replaced{};  // of the old content as it was under the lock, with the key; zeros when created
};

// --- Look: what would a pull find? ---

// The first frame of a client that only wants to know what a pull would find.
struct LookRequest {
  std::uint16_t version = kProtocolVersion;
  std::uint32_t silence_ms = kDefaultSilenceMs;
  std::string directory;  // this and the next two as in Request
  std::vector<std::string> databases;
  std::vector<std::string> exclude;
};

// The storage directory itself.
struct Storage {
  std::string file_system;  // "ext4", or its number in hex when its name is not known
  std::uint64_t available_bytes = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mode = 0;  // permission bits
  // False when the agent may not see which files some processes have open. Then an app that opens the
  // databases by another name, with locks of its own, may go unnoticed.
  bool processes_seen = true;
};

// A database that was found. It was opened and read for a moment; when that failed, the target says why. Its
// state is never kMissing.
struct Found {
  std::string name;  // as in DatabaseInfo
  Target target;
};

struct Done {
  std::uint64_t cpu_us = 0;
  std::uint64_t max_rss_bytes = 0;
};

Bytes encode(const Request&);
Bytes encode(const Hello&);
Bytes encode(const DatabaseInfo&);
Bytes encode(const SetInfo&);
Bytes encode(const Notice&);
Bytes encode(const Unmatched&);
Bytes encode(const PagesHead&);
Bytes encode(const Hashes&);
Bytes encode(const Compared&);
Bytes encode(const DatabaseEnd&);
Bytes encode(const DatabaseFailed&);
Bytes encode(const Done&);
Bytes encode(const Problem&);
Bytes encode(const RestoreRequest&);
Bytes encode(const Target&);
Bytes encode(const Needed&);
Bytes encode(const Ready&);
Bytes encode(const Restored&);
Bytes encode(const LookRequest&);
Bytes encode(const Storage&);
Bytes encode(const Found&);

Request decode_request(ByteView body);
Hello decode_hello(ByteView body);
DatabaseInfo decode_database(ByteView body);
SetInfo decode_set(ByteView body);
Notice decode_notice(ByteView body);
Unmatched decode_unmatched(ByteView body);
PagesHead decode_pages(ByteView body, ByteView& payload);
Hashes decode_hashes(ByteView body);
Compared decode_compared(ByteView body);
DatabaseEnd decode_end(ByteView body);
DatabaseFailed decode_failed(ByteView body);
Done decode_done(ByteView body);
Problem decode_problem(ByteView body);
RestoreRequest decode_restore_request(ByteView body);
Target decode_target(ByteView body);
Needed decode_needed(ByteView body);
Ready decode_ready(ByteView body);
Restored decode_restored(ByteView body);
LookRequest decode_look_request(ByteView body);
Storage decode_storage(ByteView body);
Found decode_found(ByteView body);

}  // namespace litepull
