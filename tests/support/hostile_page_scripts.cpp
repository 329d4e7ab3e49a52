// Scripts about the pages of a database, their compression, and the end of the database.
#include <zstd.h>

#include "tests/support/hostile_scripts.h"

namespace litepull::test {
namespace {

Bytes compress(ByteView raw) {
  Bytes out(ZSTD_compressBound(raw.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 1));
  return out;
}

constexpr std::uint32_t kBlocksOf10Gib = 10 * 1024 * 8;

// A zstd frame of some 320 KB that expands to 10 GiB of zeros: run-length blocks of 128 KiB each (RFC 8878,
// sections 3.1.1.1 and 3.1.1.2), the largest there are. `content_size` is what its header claims; 0 is no
// claim.
Bytes zstd_bomb(std::uint64_t content_size, std::uint32_t blocks = kBlocksOf10Gib) {
  constexpr std::uint32_t kBlockBytes = 128 << 10;
  ByteWriter out;
  out.u32(0xFD2FB528);
  out.u8(content_size == 0 ? 0x00 : 0xC0);  // 0xC0: a content size of 8 bytes follows
  out.u8(7 << 3);                           // a window of 128 KiB
  if (content_size != 0) out.u64(content_size);
  for (std::uint32_t block = 1; block <= blocks; ++block) {
    const std::uint32_t header = kBlockBytes << 3 | 1 << 1 | (block == blocks ? 1 : 0);
    out.u16(static_cast<std::uint16_t>(header));
    out.u8(static_cast<std::uint8_t>(header >> 16));
    out.u8(0);
  }
  return out.bytes();
}

// Announces one database as unchanged since the client's base; then `rest`.
Script unchanged(Script rest) {
  return [rest](Peer& peer) {
    peer.greet();
    peer.hello();
    peer.announce(peer.unchanged_info());
    peer.set(1);
    rest(peer);
  };
}

// Sends all pages in one message, with `change` made to its head; then the end.
Script paged(std::function<void(PagesHead&)> change) {
  return [change](Peer& peer) {
    peer.open();
    PagesHead head = peer.head(1, peer.page_count());
    change(head);
    peer.pages(head, peer.content());
    peer.finish();
  };
}

Script with_payload(std::function<Bytes(const Peer&)> payload, std::uint32_t raw_bytes = 0) {
  return [payload, raw_bytes](Peer& peer) {
    peer.open();
    PagesHead head = peer.head(1, peer.page_count());
    head.codec = Codec::kZstd;
    if (raw_bytes != 0) head.raw_bytes = raw_bytes;
    peer.pages(head, payload(peer));
    peer.finish();
  };
}

Script ended(std::function<void(DatabaseEnd&)> change) {
  return [change](Peer& peer) {
    peer.open();
    peer.all_pages();
    DatabaseEnd end = peer.end_of();
    change(end);
    peer.end(end);
    peer.done();
  };
}

Script error_of_kind(ErrorKind kind) {
  return greeted([kind](Peer& peer) {
    peer.hello();
    peer.send(MessageType::kError, encode(Problem{kind, kEscapes, kEscapes}));
  });
}

}  // namespace

void add_page_scripts(Scripts& all) {
  all["pages-out-of-order"] = opened([](Peer& peer) {
    peer.pages(2, peer.page_count() - 1);
    peer.pages(1, 1);
    peer.finish();
  });
  all["pages-twice"] = opened([](Peer& peer) {
    peer.pages(1, 1);
    peer.pages(1, 1);
    peer.pages(2, peer.page_count() - 1);
    peer.finish();
  });
  all["pages-past-the-count"] = opened([](Peer& peer) {
    peer.all_pages();
    PagesHead head = peer.head(1, 1);
    head.runs = {{peer.page_count() + 1, 1}};
    peer.pages(head, peer.slice(1, 1));
    peer.finish();
  });
  all["one-run-past-the-count"] = announced([](DatabaseInfo& info) { --info.page_count; });
  all["a-page-missing"] = opened([](Peer& peer) {
    peer.pages(1, peer.page_count() - 1);
    peer.finish();
  });
  all["pages-with-a-gap"] = opened([](Peer& peer) {
    peer.pages(1, 1);
    peer.pages(3, peer.page_count() - 2);
    peer.finish();
  });
  all["no-pages-at-all"] = opened([](Peer& peer) { peer.finish(); });
  all["page-0"] = paged([](PagesHead& head) { head.runs[0].first = 0; });
  all["run-of-4-billion-pages"] = paged([](PagesHead& head) { head.runs[0].count = 0xFFFFFFFF; });
  all["runs-that-overflow"] = paged([](PagesHead& head) {
    head.runs = {{1, 0xFFFFFFFF}, {0xFFFFFFFF, 0xFFFFFFFF}};
  });
  all["no-runs"] = paged([](PagesHead& head) { head.runs.clear(); });
  all["5000-runs"] = paged([](PagesHead& head) {
    head.runs.clear();
    for (std::uint32_t page = 1; page <= 5000; ++page) head.runs.push_back({page, 1});
  });
  all["more-runs-than-bytes"] = opened([](Peer& peer) {
    Bytes body = encode(peer.head(1, 1));
    body[5] = 0xFF;  // the low byte of the number of runs
    peer.frame(MessageType::kPages, body);
  });
  all["pages-of-another-database"] = paged([](PagesHead& head) { head.database = 1; });
  all["half-a-page"] = paged([](PagesHead& head) { head.raw_bytes -= 1; });
  all["unknown-codec"] = paged([](PagesHead& head) { head.codec = static_cast<Codec>(7); });
  all["hashes-not-offered"] = announced([](DatabaseInfo& info) { info.base_pages = 1; });
  all["unchanged-not-offered"] = announced([](DatabaseInfo& info) {
    info.base_pages = info.page_count;
    info.unchanged = true;
  });
  all["unchanged"] = unchanged([](Peer& peer) { peer.finish(); });
  all["unchanged-and-pages"] = unchanged([](Peer& peer) {
    peer.all_pages();
    peer.finish();
  });
  all["unchanged-of-another-checksum"] = unchanged([](Peer& peer) {
    DatabaseEnd end = peer.end_of();
    end.digest[0] ^= 1;
    peer.end(end);
    peer.done();
  });
  all["compared-without-a-base"] = opened([](Peer& peer) {
    peer.send(MessageType::kCompared, encode(Compared{0, 1}));
    peer.finish();
  });
  all["payload-too-short"] = opened([](Peer& peer) {
    peer.pages(peer.head(1, peer.page_count()), peer.slice(1, 1));
    peer.finish();
  });
  all["payload-too-long"] = opened([](Peer& peer) {
    peer.pages(peer.head(1, 1), peer.content());
    peer.finish();
  });
  all["batch-over-the-cap"] = paged([](PagesHead& head) { head.raw_bytes = kMaxBatchBytes + 4096; });
}

void add_payload_scripts(Scripts& all) {
  all["zstd-bomb"] = with_payload([](const Peer&) { return zstd_bomb(0); });
  all["zstd-bomb-that-says-so"] = with_payload([](const Peer&) { return zstd_bomb(10ULL << 30); });
  // 1 KB, which is 32 MiB at the most.
  all["zstd-bomb-of-1-kb"] = with_payload([](const Peer&) { return zstd_bomb(10ULL << 30, 250); });
  all["zstd-bomb-of-1-kb-unsaid"] = with_payload([](const Peer&) { return zstd_bomb(0, 250); });
  all["zstd-window-of-2-tib"] = with_payload([](const Peer&) {
    Bytes frame = zstd_bomb(0, 250);
    frame[5] = 31 << 3;
    return frame;
  });
  all["zstd-bomb-that-lies"] =
      with_payload([](const Peer& peer) { return zstd_bomb(peer.content().size()); });
  all["zstd-bomb-over-the-cap"] = with_payload([](const Peer&) { return zstd_bomb(0); }, 0xFFFFF000);
  all["zstd-garbage"] = with_payload([](const Peer& peer) { return Bytes(peer.content().size() / 2, 0x55); });
  all["zstd-cut-short"] = with_payload([](const Peer& peer) {
    Bytes payload = compress(peer.content());
    payload.resize(payload.size() / 2);
    return payload;
  });
  all["zstd-of-fewer-bytes"] = with_payload([](const Peer& peer) { return compress(peer.slice(1, 1)); });
  all["zstd-of-nothing"] = with_payload([](const Peer&) { return Bytes(); });
}

void add_end_scripts(Scripts& all) {
  all["wrong-digest"] = ended([](DatabaseEnd& end) { end.digest[0] ^= 1; });
  all["end-of-another-size"] = ended([](DatabaseEnd& end) { ++end.page_count; });
  all["end-of-another-database"] = ended([](DatabaseEnd& end) { end.database = 1; });
  all["failure-of-another-database"] = opened([](Peer& peer) {
    peer.send(MessageType::kFailed, encode(DatabaseFailed{1, {ErrorKind::kFailed, "no", ""}}));
  });
  all["pages-after-the-end"] = opened([](Peer& peer) {
    peer.all_pages();
    peer.end(peer.end_of());
    peer.pages(1, 1);
    peer.done();
  });
  all["an-error-after-all-pages"] = opened([](Peer& peer) {
    peer.all_pages();
    peer.end(peer.end_of());
    peer.send(MessageType::kError, encode(Problem{ErrorKind::kCorrupt, "on second thoughts", ""}));
  });
  all["error-failed"] = error_of_kind(ErrorKind::kFailed);
  all["error-busy"] = error_of_kind(ErrorKind::kBusy);
  all["error-connection"] = error_of_kind(ErrorKind::kConnection);
  all["error-cancelled"] = error_of_kind(ErrorKind::kCancelled);
  all["error-of-no-kind"] = error_of_kind(static_cast<ErrorKind>(0));
  all["error-of-an-unknown-kind"] = error_of_kind(static_cast<ErrorKind>(200));
}

}  // namespace litepull::test
