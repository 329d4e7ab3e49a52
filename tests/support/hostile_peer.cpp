#include "tests/support/hostile_peer.h"

#include <cstdlib>
#include <ctime>

#include "common/error.h"
#include "common/page_size.h"
#include "common/posix.h"

namespace litepull::test {
namespace {

constexpr std::size_t kMaxDatabaseBytes = 16 << 20;

std::vector<std::string> names_to_announce() {
  std::vector<std::string> names{""};
  const std::string hex = variable("HOSTILE_NAMES");
  for (std::size_t at = 0; at < hex.size();) {
    if (hex[at] == ',') {
      names.emplace_back();
      ++at;
    } else {
      names.back() += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
      at += 2;
    }
  }
  return names;
}

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

// The key of the request, whatever kind of request it is. Zeros when it has none.
DigestKey key_of(const Frame& request) {
  if (request.type == MessageType::kRequest) return decode_request(request.body).key;
  if (request.type == MessageType::kRestoreRequest) return decode_restore_request(request.body).key;
  return {};
}

Digest digest_of(ByteView content, const DigestKey& key) {
  StreamingDigest digest(key);
  digest.add(content);
  return digest.result();
}

}  // namespace

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Peer::Peer()
    : names_(names_to_announce()),
      content_(bytes_of(litepull::read_file(variable("HOSTILE_DATABASE"), kMaxDatabaseBytes))),
      page_size_(page_size_in({content_[kPageSizeAt], content_[kPageSizeAt + 1]})),
      page_count_(static_cast<std::uint32_t>(content_.size() / page_size_)) {}

void Peer::greet() {
  raw(std::string(kAgentGreeting) + "\n");
  // What is sent next is answered, or not, by a client that has said its part.
  Frame frame;
  require_peer(reader_.next(frame), "no request");
  key_ = key_of(frame);
}

void Peer::hello(std::uint64_t ahead_s) {
  Hello hello;
  hello.clock_unix_ms = (static_cast<std::uint64_t>(std::time(nullptr)) + ahead_s) * 1000;
  send(MessageType::kHello, encode(hello));
}

DatabaseInfo Peer::info(std::uint32_t index) const {
  DatabaseInfo info;
  info.index = index;
  info.name = index < names_.size() ? names_[index] : std::to_string(index) + ".sqlite3";
  info.page_size = page_size_;
  info.page_count = page_count_;
  return info;
}

DatabaseInfo Peer::unchanged_info() const {
  DatabaseInfo same = info();
  same.base_pages = same.page_count;
  same.unchanged = true;
  return same;
}

void Peer::set(std::size_t databases) {
  SetInfo set;
  set.consistency = Consistency::kBarrier;
  set.databases = static_cast<std::uint32_t>(databases);
  send(MessageType::kSet, encode(set));
}

void Peer::open() {
  greet();
  hello();
  for (std::uint32_t index = 0; index < names_.size(); ++index) announce(info(index));
  set(names_.size());
}

PagesHead Peer::head(std::uint32_t first, std::uint32_t count) const {
  PagesHead head;
  head.raw_bytes = count * page_size_;
  head.runs = {{first, count}};
  return head;
}

ByteView Peer::slice(std::uint32_t first, std::uint32_t count) const {
  return ByteView(content_).subspan(std::size_t{page_size_} * (first - 1), std::size_t{page_size_} * count);
}

void Peer::pages(const PagesHead& head, ByteView payload) {
  writer_.write(MessageType::kPages, encode(head), payload);
}

DatabaseEnd Peer::end_of(std::uint32_t index) const {
  DatabaseEnd end;
  end.database = index;
  end.page_count = end.pages_sent = page_count_;
  end.digest = digest_of(content_, key_);
  end.state = end.digest;  // any
  return end;
}

void Peer::finish() {
  end(end_of());
  done();
}

void Peer::header(std::uint32_t body_bytes, std::uint8_t type, std::uint8_t reserved) {
  ByteWriter out;
  out.u32(body_bytes);
  out.u8(type);
  out.u8(reserved);
  out.u16(0);
  sink_.write(out.bytes(), {});
}

void Peer::frame(MessageType type, const Bytes& body) {
  header(static_cast<std::uint32_t>(body.size()), static_cast<std::uint8_t>(type));
  sink_.write(body, {});
}

}  // namespace litepull::test
