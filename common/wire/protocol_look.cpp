// The messages that only a look has.
#include "common/wire/protocol_parts.h"

namespace litepull {

Bytes encode(const LookRequest& request) {
  ByteWriter out;
  put_head(out, request.version, request.silence_ms);
  out.text(request.directory);
  put_globs(out, request.databases);
  put_globs(out, request.exclude);
  return out.bytes();
}

LookRequest decode_look_request(ByteView body) {
  ByteReader in(body);
  LookRequest request;
  take_head(in, request.version, request.silence_ms);
  request.directory = in.text(kMaxPathBytes);
  request.databases = take_globs(in);
  request.exclude = take_globs(in);
  in.end();
  return request;
}

Bytes encode(const Storage& storage) {
  ByteWriter out;
  out.text(storage.file_system);
  out.u64(storage.available_bytes);
  out.u32(storage.uid);
  out.u32(storage.gid);
  out.u32(storage.mode);
  out.u8(storage.processes_seen ? 1 : 0);
  return out.bytes();
}

Storage decode_storage(ByteView body) {
  ByteReader in(body);
  Storage storage;
  storage.file_system = in.text(kMaxFileSystemBytes);
  storage.available_bytes = in.u64();
  storage.uid = in.u32();
  storage.gid = in.u32();
  storage.mode = in.u32();
  const std::uint8_t seen = in.u8();
  in.end();
  require_peer(seen <= 1, "a storage directory that is neither seen nor unseen");
  storage.processes_seen = seen == 1;
  return storage;
}

Bytes encode(const Found& found) {
  ByteWriter out;
  out.text(found.name);
  put_target(out, found.target);
  return out.bytes();
}

Found decode_found(ByteView body) {
  ByteReader in(body);
  Found found;
  found.name = in.text(kMaxNameBytes);
  found.target = take_target(in);
  in.end();
  require_peer(found.target.state != TargetState::kMissing, "a database found that is missing");
  return found;
}

}  // namespace litepull
