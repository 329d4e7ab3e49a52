// The first half of a restore: makes the image of one database whole on the server and proves it. Nothing on
// the server is changed here.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "agent/from_client.h"
#include "agent/image.h"
#include "agent/new_file.h"
#include "agent/source_database.h"
#include "agent/target.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// One database on its way.
struct RestoreWork {
  TargetPlace place;
  std::unique_ptr<SourceDatabase> source;  // until it is copied
  std::uint32_t compared = 0;              // pages whose hashes the client sends
  std::unique_ptr<Image> image;
  std::unique_ptr<NewFile> fresh;  // when the database is missing
  std::uint32_t differing = 0;     // pages
};

class ImageMaker {
 public:
  // All must outlive this.
  ImageMaker(const RestoreRequest& request, FromClient& client, FrameWriter& writer)
      : request_(request), client_(client), writer_(writer) {}

  // Works until the image is whole and proven. When the request only compares, works until it is known how
  // many pages differ. Then tells the client that this database is ready. Throws Error when the image cannot
  // be made, or when what arrived is not the snapshot's file.
  void make(RestoreWork& work);

 private:
  class Asking;

  std::uint32_t compare(RestoreWork& work);
  void compare_block(RestoreWork& work, std::uint32_t first, std::uint32_t count, Asking& asking);
  void report(const RestoreWork& work, std::uint32_t pages, Asking& asking);
  void prove(RestoreWork& work);
  void require_database(const RestoreWork& work);

  const RestoreRequest& request_;
  FromClient& client_;
  FrameWriter& writer_;
  Bytes block_;
  std::vector<std::uint32_t> wanted_;
};

}  // namespace litepull
