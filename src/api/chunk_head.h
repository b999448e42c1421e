// ChunkHead: what all chunks of a stream have in common, read from one of them: for whoever has to
// end a stream in its server's place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

struct ChunkHead {
  std::string id;
  std::string model;
  std::int64_t created_s = 0;
};

// `data` is an event's data, and needs no padding. What it lacks stays empty, as all of it does
// where it is not JSON.
ChunkHead ReadChunkHead(std::string_view data);

}  // namespace penstock
